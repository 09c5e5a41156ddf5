"""The wrappers by the name a file knows them by."""

from collections.abc import Mapping

from bayesimpute.wrappers.base import Wrapper
from bayesimpute.wrappers.by_group import ByGroup
from bayesimpute.wrappers.delta import Delta
from bayesimpute.wrappers.fixed_clusters import FixedClusters
from bayesimpute.wrappers.only_where import OnlyWhere

WRAPPERS: Mapping[str, type[Wrapper]] = {
    "by_group": ByGroup,
    "only_where": OnlyWhere,
    "delta": Delta,
    "fixed_clusters": FixedClusters,
}
