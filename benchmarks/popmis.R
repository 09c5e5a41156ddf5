# Seconds that mice needs for the popularity case, method by method; called by speed.py.
#
#   Rscript benchmarks/popmis.R DATA.csv METHODS M ITERATIONS REPEATS [SEED]
#
# METHODS is a comma list. Prints one line a run: method,seconds,intercept,texp,sex
# (the pooled fixed effects, so that a fast run that imputes nonsense is seen), and lines
# "# ..." with versions or the reason a method was left out.

arguments <- commandArgs(trailingOnly = TRUE)
file <- arguments[1]
methods <- strsplit(arguments[2], ",")[[1]]
m <- as.integer(arguments[3])
iterations <- as.integer(arguments[4])
repeats <- as.integer(arguments[5])
seed <- if (length(arguments) >= 6) as.integer(arguments[6]) else 1L

suppressPackageStartupMessages(library(mice))
needs <- c("2l.pan" = "pan", "2l.lmer" = "lme4", "2l.norm" = "mice", "2l.pmm" = "miceadds")
installed <- function(package) requireNamespace(package, quietly = TRUE)
cat("# R ", as.character(getRversion()), ", mice ", as.character(packageVersion("mice")), "\n", sep = "")

data <- read.csv(file)[, c("school", "popular", "sex", "texp")]
predictors <- make.predictorMatrix(data)
predictors[, ] <- 0
predictors["popular", c("school", "sex", "texp")] <- c(-2, 2, 1)

for (method in methods) {
  package <- needs[[method]]
  if (!installed(package)) {
    cat("# ", method, ": package ", package, " is not installed\n", sep = "")
    next
  }
  if (package == "miceadds") suppressPackageStartupMessages(library(miceadds))
  for (i in seq_len(repeats)) {
    seconds <- system.time(
      imp <- mice(data, m = m, maxit = iterations, predictorMatrix = predictors,
                  method = c("", method, "", ""), printFlag = FALSE, seed = seed + i)
    )[["elapsed"]]
    pooled <- c(NA, NA, NA)
    if (installed("lme4")) {
      fits <- lapply(seq_len(m), function(k)
        lme4::fixef(lme4::lmer(popular ~ texp + sex + (1 | school), complete(imp, k))))
      pooled <- rowMeans(do.call(cbind, fits))
    }
    cat(method, seconds, pooled, sep = ",")
    cat("\n")
  }
}
