# Seconds of mice's 2l.bin for one binary target; called by categories.py.
#
#   Rscript benchmarks/categories.R DATA.csv M ITERATIONS SEED
#
# Prints versions ("# ...") and one line "2l.bin,seconds,share": the share of imputed "yes".

arguments <- commandArgs(trailingOnly = TRUE)
data <- read.csv(arguments[1], na.strings = c("NA", ""))
data$FamOb <- factor(data$FamOb)
data$Gender <- as.integer(data$Gender == "Female")
data <- data[, c("Cluster", "Time", "Gender", "FamOb")]
m <- as.integer(arguments[2])
iterations <- as.integer(arguments[3])
seed <- as.integer(arguments[4])

# without lme4 mice's 2l.bin draws at random, warns, and looks fast
if (!requireNamespace("lme4", quietly = TRUE)) {
  cat("# r-cran-lme4 is missing\n")
  quit(status = 0)
}
suppressPackageStartupMessages(library(mice))
cat("# R ", as.character(getRversion()), ", mice ", as.character(packageVersion("mice")), "\n", sep = "")
predictors <- make.predictorMatrix(data)
predictors[, ] <- 0
predictors["FamOb", c("Cluster", "Time", "Gender")] <- c(-2, 2, 2)
method <- make.method(data)
method[] <- ""
method["FamOb"] <- "2l.bin"
start <- proc.time()[["elapsed"]]
imputed <- mice(data, m = m, maxit = iterations, method = method, predictorMatrix = predictors,
                printFlag = FALSE, seed = seed)
seconds <- proc.time()[["elapsed"]] - start
drawn <- unlist(imputed$imp$FamOb)
cat("2l.bin,", seconds, ",", mean(drawn == "yes"), "\n", sep = "")
