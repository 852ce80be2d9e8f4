"""Is the map right? What an attribution says, beside what happens when the model is asked."""

from ig_widgets.faithfulness.audit import RegionAudit, RegionAudits, audit_region, audit_regions
from ig_widgets.faithfulness.regions import region_mask

__all__ = ["RegionAudit", "RegionAudits", "audit_region", "audit_regions", "region_mask"]
