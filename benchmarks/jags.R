# Sample a model with JAGS: Rscript jags.R FOLDER PARAMETERS CHAINS ADAPT BURN ITERATIONS THIN FIRST
# FOLDER has model.jags and data.R; the draws go to drawsFIRST.csv there, chain after chain, FIRST
# being the number of the first of them; the last line printed is the processor's seconds and those
# of the clock, of sampling without adaptation and burn-in.
given <- commandArgs(trailingOnly = TRUE)
suppressMessages(library(rjags))
folder <- given[1]
numbers <- as.integer(given[3:8])
data <- new.env()
source(file.path(folder, "data.R"), local = data)
starts <- lapply(seq_len(numbers[1]), function(chain) {
  list(.RNG.name = "base::Mersenne-Twister", .RNG.seed = numbers[6] + chain)
})
model <- jags.model(
  file.path(folder, "model.jags"), as.list(data), starts, numbers[1], numbers[2], quiet = TRUE
)
update(model, numbers[3], progress.bar = "none")
before <- proc.time()
draws <- coda.samples(
  model, strsplit(given[2], ",")[[1]], numbers[4], numbers[5], progress.bar = "none"
)
took <- proc.time() - before
file <- file.path(folder, paste0("draws", numbers[6], ".csv"))
write.csv(do.call(rbind, lapply(draws, as.matrix)), file, row.names = FALSE)
cat(sum(took[1:2]), took[3], "\n")
