# Sample a model with JAGS: Rscript jags.R FOLDER PARAMETERS CHAINS ADAPT BURN ITERATIONS THIN
# FOLDER has model.jags and data.R; the draws go to draws.csv there, chain after chain; the last
# line printed is the processor's seconds of sampling, without adaptation and burn-in.
given <- commandArgs(trailingOnly = TRUE)
suppressMessages(library(rjags))
folder <- given[1]
numbers <- as.integer(given[3:7])
data <- new.env()
source(file.path(folder, "data.R"), local = data)
starts <- lapply(seq_len(numbers[1]), function(chain) {
  list(.RNG.name = "base::Mersenne-Twister", .RNG.seed = chain)
})
model <- jags.model(
  file.path(folder, "model.jags"), as.list(data), starts, numbers[1], numbers[2], quiet = TRUE
)
update(model, numbers[3], progress.bar = "none")
before <- sum(proc.time()[1:2])
draws <- coda.samples(
  model, strsplit(given[2], ",")[[1]], numbers[4], numbers[5], progress.bar = "none"
)
seconds <- sum(proc.time()[1:2]) - before
write.csv(do.call(rbind, lapply(draws, as.matrix)), file.path(folder, "draws.csv"),
  row.names = FALSE
)
cat(seconds, "\n")
