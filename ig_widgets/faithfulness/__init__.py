"""Is the map right? What an attribution says, beside what happens when the model is asked."""

from ig_widgets.faithfulness.audit import RegionAudit, RegionAudits, audit_region, audit_regions
from ig_widgets.faithfulness.curves import Curves, deletion, insertion
from ig_widgets.faithfulness.regions import region_mask

__all__ = [
    "Curves",
    "RegionAudit",
    "RegionAudits",
    "audit_region",
    "audit_regions",
    "deletion",
    "insertion",
    "region_mask",
]
