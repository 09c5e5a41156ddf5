# Seconds of jomo for three variables of different kinds; called by joint.py.
#
#   Rscript benchmarks/joint.R DATA.csv M SD.csv
#
# Prints "jomo,seconds" and writes the SD of y between clusters, one line a sweep after burn-in.

arguments <- commandArgs(trailingOnly = TRUE)
data <- read.csv(arguments[1], na.strings = c("NA", ""))
m <- as.integer(arguments[2])
suppressPackageStartupMessages(library(jomo))
Y <- data.frame(y = data$y, s = factor(data$s), o = factor(data$o))
X <- data.frame(one = 1, x = data$x)
set.seed(1)
start <- proc.time()[["elapsed"]]
invisible(capture.output(jomo(Y = Y, X = X, clus = data$cluster, nimp = m, output = 0)))
cat("jomo,", proc.time()[["elapsed"]] - start, "\n", sep = "")
invisible(capture.output(chain <- jomo.MCMCchain(Y = Y, X = X, clus = data$cluster, nburn = 2000,
                                                 output = 0)))
variance <- chain$collectcovu[1, 1, 1001:2000]
write.csv(data.frame(sd = sqrt(variance)), arguments[3], row.names = FALSE)
