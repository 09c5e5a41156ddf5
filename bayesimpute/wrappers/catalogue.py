"""The wrappers by the name a file knows them by."""

from collections.abc import Mapping
from types import MappingProxyType

from bayesimpute.wrappers.base import Wrapper
from bayesimpute.wrappers.delta import Delta
from bayesimpute.wrappers.fixed_clusters import FixedClusters
from bayesimpute.wrappers.some_rows import ByGroup, OnlyWhere

WRAPPERS: Mapping[str, type[Wrapper]] = MappingProxyType(
    {
        "by_group": ByGroup,
        "only_where": OnlyWhere,
        "delta": Delta,
        "fixed_clusters": FixedClusters,
    }
)
