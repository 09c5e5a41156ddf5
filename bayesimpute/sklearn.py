"""A transformer of scikit-learn, for pipelines and cross-validation: models see training rows only.

scikit-learn is not installed with the package: ``pip install "bayesimpute[sklearn]"``.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from bayesimpute.data.table import Kind
from bayesimpute.imputation import impute
from bayesimpute.imputations import Imputations
from bayesimpute.new_rows.impute_new import impute_new

__all__ = ["BayesianImputer"]


class BayesianImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Fill gaps by models that are fitted to the training rows only.

    ``fit`` runs the chains of ``bi.impute``; ``transform`` fills the gaps of any rows, those of the
    training too, by ``imp.impute_new``: nothing is learnt from rows that are transformed.

    Parameters
    ----------
    imputation
        None (default) fills in the mean over the m imputations, for categories the most frequent,
        which is best for predicting. k from 1 to m fills in imputation k, which keeps the spread
        of values; m pipelines, one for each, are multiple imputation.
    m, iterations, method, predictors, formulas, cluster, model_options
        Of ``bi.impute``. 20 imputations make the mean's Monte-Carlo error small beside the spread.
        Columns of arrays are named ``x0``, ``x1``, ….
    every_column
        Whether columns without gaps in the training rows get a model too (default True), so that
        gaps of later rows can be filled in any column. False is faster with many such columns;
        then a gap there is an error.
    random_state
        Seed, as in scikit-learn.

    Attributes
    ----------
    imputations_
        The result of ``bi.impute`` on the training rows; None where nothing had to be fitted.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 2.1], [2.0, np.nan], [3.0, 5.9], [4.0, 8.2], [5.0, 9.8], [6.0, 12.1]])
    >>> imputer = BayesianImputer(m=5, iterations=2, random_state=1).fit(X)
    >>> bool(np.isnan(imputer.transform([[2.5, np.nan]])).any())
    False
    """

    def __init__(
        self,
        *,
        imputation: int | None = None,
        m: int = 20,
        iterations: int = 10,
        method: Any = None,
        predictors: pd.DataFrame | None = None,
        formulas: Any = None,
        cluster: str | None = None,
        model_options: Any = None,
        every_column: bool = True,
        random_state: Any = None,
    ) -> None:
        self.imputation = imputation
        self.m = m
        self.iterations = iterations
        self.method = method
        self.predictors = predictors
        self.formulas = formulas
        self.cluster = cluster
        self.model_options = model_options
        self.every_column = every_column
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Run the chains on the training rows.

        Parameters
        ----------
        X
            Training rows: a data frame of numbers, categories and texts, or an array.
        y
            Not used.

        Returns
        -------
        BayesianImputer
            Itself.

        Raises
        ------
        ValueError
            As ``bi.impute``, whose errors are such; if `imputation` is none of 1 to m.
        """
        if self.imputation is not None and not 1 <= self.imputation <= self.m:
            raise ValueError(
                f"imputation={self.imputation!r} must be None or a number from 1 to m={self.m}."
            )
        frame = self._frame(X, reset=True)
        if len(frame) < 2:
            raise ValueError(
                f"Found array with {len(frame)} sample(s) (n_samples={len(frame)}) while a minimum "
                "of 2 is required: one row has no spread to impute from."
            )
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._constant = {
            name: column.dropna().iloc[0]
            for name, column in frame.items()
            if name != self.cluster and column.nunique(dropna=True) == 1
        }
        # columns they stay, which predictors=, formulas= and method= may name, and get no model
        rows = frame.fillna(self._constant).reset_index(drop=True)
        if self.every_column:
            extra = self._with_gaps(rows)
            rows = pd.concat([rows.astype(extra.dtypes), extra], ignore_index=True)
        ignore = np.arange(len(rows)) >= len(frame)
        self.imputations_: Imputations | None = None
        if rows.isna().any(axis=None):
            self.imputations_ = impute(
                rows, cluster=self.cluster, m=self.m,
                iterations=self.iterations, method=self._of_varying(self.method),
                predictors=self.predictors, formulas=self._of_varying(self.formulas),
                model_options=self._of_varying(self.model_options), ignore=ignore,
                seed=seed, progress=False,
            )  # fmt: skip
        self._names = list(frame.columns)
        return self

    def _of_varying(self, given: Any) -> Any:
        """Leave out what is said of columns that are constant in the training rows."""
        if not isinstance(given, Mapping):
            return given
        return {name: each for name, each in given.items() if name not in self._constant}

    def transform(self, X: Any) -> Any:
        """Fill the gaps of rows.

        Parameters
        ----------
        X
            Rows with the columns of the training.

        Returns
        -------
        numpy.ndarray or pandas.DataFrame
            Of the kind given, unless ``set_output`` says otherwise.

        Raises
        ------
        ValueError
            If a gap cannot be filled; the text says why.
        """
        check_is_fitted(self, "imputations_")
        frame = self._frame(X, reset=False)
        done = frame.copy()
        for name, value in self._constant.items():
            done[name] = done[name].fillna(value)
        gaps = done[self._names].isna().any()
        if gaps.any():
            if self.imputations_ is None:
                raise ValueError(
                    f"{gaps.idxmax()!r} has gaps, and the training rows had none, so that no model "
                    "was fitted; use every_column=True."
                )
            for name, column in self._filled(done[self._names]).items():
                done[name] = column
        return done if isinstance(X, pd.DataFrame) else done.to_numpy()

    def _filled(self, frame: pd.DataFrame) -> pd.DataFrame:
        assert self.imputations_ is not None
        plain = frame.reset_index(drop=True)
        completed = impute_new(self.imputations_, plain)
        if self.imputation is not None:
            return completed[self.imputation - 1].set_axis(frame.index, axis=0)
        variables = self.imputations_.specification.table.variables
        columns = {
            name: _middle([each[name] for each in completed], variables[name].kind is Kind.NUMERIC)
            for name in frame.columns[frame.isna().any()]
        }
        return pd.DataFrame(columns).set_axis(frame.index, axis=0)

    def _with_gaps(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give rows with a gap in each column that has none: no model learns from them."""
        others = {self.cluster, *self._constant}
        complete = [c for c in frame.columns[frame.notna().all()] if c not in others]
        kinds: dict[str, Any] = {"i": float, "u": float, "b": "boolean"}
        held = {name: kinds[k] for name in complete if (k := _kind(frame[name])) in kinds}
        rows = frame.iloc[np.zeros(len(complete), dtype=int)].reset_index(drop=True).astype(held)
        for row, name in enumerate(complete):
            rows.loc[row, name] = None
        return rows

    def _frame(self, X: Any, reset: bool) -> pd.DataFrame:
        """Give rows as a frame, after scikit-learn's own checks."""
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if not len(X) or not X.shape[1]:
                what = "sample(s)" if X.shape[1] else "feature(s)"
                raise ValueError(f"Found array with 0 {what} while a minimum of 1 is required.")
            return X
        array = validate_data(self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan")
        return pd.DataFrame(array, columns=[f"x{k}" for k in range(array.shape[1])])

    def __sklearn_tags__(self) -> Any:
        """Say that gaps, texts and categories are what this is for."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.non_deterministic = self.random_state is None
        return tags


def _kind(column: "pd.Series[Any]") -> str:
    """Letter of NumPy's dtype; none of pandas' own."""
    return column.dtype.kind if isinstance(column.dtype, np.dtype) else ""


def _middle(columns: "list[pd.Series[Any]]", number: bool) -> "pd.Series[Any]":
    """Mean of a column over imputations; of categories the most frequent, the first of several."""
    first = columns[0]
    if number and pd.api.types.is_numeric_dtype(first.dtype):
        mean = np.mean([column.to_numpy(float) for column in columns], axis=0)
        return pd.Series(mean, index=first.index, name=first.name)
    together = pd.concat(columns, ignore_index=True)
    codes, labels = pd.factorize(together, sort=False)
    counts = np.stack(
        [(codes.reshape(len(columns), -1) == k).sum(axis=0) for k in range(len(labels))]
    )
    chosen = pd.Series(labels[counts.argmax(axis=0)], index=first.index, name=first.name)
    return chosen.astype(first.dtype)
