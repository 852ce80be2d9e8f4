"""Checks of attributions against the model: audits, deletion and insertion, infidelity, randomization and more."""

from ig_widgets.faithfulness import perturbations
from ig_widgets.faithfulness.audit import audit_region, audit_regions
from ig_widgets.faithfulness.curve import Curves
from ig_widgets.faithfulness.curves import deletion, insertion
from ig_widgets.faithfulness.infidelity import Infidelity, infidelity
from ig_widgets.faithfulness.pointing_game import Pointing, pointing
from ig_widgets.faithfulness.randomization import Randomization, randomize_model
from ig_widgets.faithfulness.region_audit import RegionAudit, RegionAudits
from ig_widgets.faithfulness.regions import region_mask
from ig_widgets.faithfulness.sensitivity import Sensitivity, sensitivity_max
from ig_widgets.faithfulness.shift import InputShift, input_shift

__all__ = [
    "Curves",
    "Infidelity",
    "InputShift",
    "Pointing",
    "Randomization",
    "RegionAudit",
    "RegionAudits",
    "Sensitivity",
    "audit_region",
    "audit_regions",
    "deletion",
    "infidelity",
    "input_shift",
    "insertion",
    "perturbations",
    "pointing",
    "randomize_model",
    "region_mask",
    "sensitivity_max",
]
