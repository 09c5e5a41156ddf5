"""Why each thing that a model may lack matters."""

from collections.abc import Mapping

#: Kind of lack -> severity, what is found, why it matters.
REASONS: Mapping[str, tuple[str, str, str]] = {
    "outcome": (
        "error",
        "the outcome does not predict it",
        "Imputed values then have no relation with the outcome, and its coefficient is drawn "
        "towards 0 (Moons et al. 2006, J Clin Epidemiol 59: 1092; Meng 1994, Stat Sci 9: 538).",
    ),
    "covariate": (
        "error",
        "a predictor of the analysis is not in the model of the outcome",
        "Imputed outcomes then have no relation with it, and its coefficient is drawn towards 0 "
        "(Meng 1994, Stat Sci 9: 538).",
    ),
    "other covariate": (
        "warning",
        "another predictor of the analysis is not in its model",
        "The two are taken as unrelated in imputed rows given the rest, which biases the "
        "coefficients of both (Meng 1994, Stat Sci 9: 538).",
    ),
    "incompatible": (
        "warning",
        "no model of it given the others is compatible with the analysis",
        "Given the outcome it does not lie on a straight line with a constant spread (the log odds "
        "of a category have no normal effects of clusters), whatever terms are added: outcome × z, "
        "or a slope of the outcome, draws the interaction, curve or variance of slopes towards 0 "
        "as much as leaving it out (Seaman, Bartlett & White 2012, BMC Med Res Methodol 12: 46; "
        "Grund, Lüdtke & Robitzsch 2018, Organ Res Methods 21: 111). It takes imputation by the "
        "analysis model itself (Bartlett et al. 2015, Stat Methods Med Res 24: 462), which is what "
        "analysis= asks for.",
    ),
    "interaction": (
        "warning",
        "an interaction of the analysis is not in its model",
        "Imputed rows then have no interaction, and its coefficient is drawn towards 0 (Tilling et "
        "al. 2016, J Clin Epidemiol 80: 107; Seaman, Bartlett & White 2012, BMC Med Res Methodol "
        "12: 46).",
    ),
    "transformation": (
        "warning",
        "a function of a variable in the analysis is not in its model",
        "Imputed rows then follow a straight line where the analysis asks for a curve; to impute "
        "and then transform draws the curve towards 0 (von Hippel 2009, Sociol Methodol 39: 265).",
    ),
    "order": (
        "warning",
        "its model has one slope for all categories",
        "In the analysis each category has an effect of its own, while categories imputed by one "
        "slope, or by donors, go only up or only down with the outcome, equally at every "
        "threshold. In 30 simulated data sets an effect that was largest in the middle came out "
        "half as large, and interactions a tenth smaller; with a slope for each there was no bias.",
    ),
    "slope": (
        "warning",
        "a random slope of the analysis is not in its model",
        "Imputed rows then have the same slope in all clusters, and the variance of slopes comes "
        "out too small (Grund, Lüdtke & Robitzsch 2016, Behav Res Methods 48: 640).",
    ),
    "correlation": (
        "warning",
        "effects that are correlated in the analysis are independent in its model",
        "Slopes of imputed rows then have no relation with the intercepts of their clusters, and "
        "the covariance of the two is drawn towards 0 (Meng 1994, Stat Sci 9: 538).",
    ),
    "mean": (
        "warning",
        "a cluster mean of the analysis is not in its model",
        "Relations within and between clusters are taken as equal in imputed rows, and the "
        "contextual effect is drawn towards 0 (Grund, Lüdtke & Robitzsch 2018, Organ Res Methods "
        "21: 111).",
    ),
    "cluster effects": (
        "warning",
        "its random intercepts do not go with the level of the outcome in clusters",
        "Given the outcome it follows what is left of it after the effect of the cluster. Random "
        "intercepts that are independent of the outcome do not take that out where clusters are "
        "small and differ much, so that its coefficient is drawn towards 0: by a third where they "
        "have 3 to 5 rows and four fifths of the variance, half of it missing, and by nothing with "
        "the cluster mean of the outcome as predictor (Mundlak 1978, Econometrica 46: 69).",
    ),
}
