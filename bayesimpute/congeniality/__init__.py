"""Whether an imputation model holds what an analysis asks for."""
