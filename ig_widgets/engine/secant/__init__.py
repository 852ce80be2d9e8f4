"""The secant rule: a forward pass in which each operation is given its average slope over a cell for a derivative.

Operations are found as they are called, by a torch function mode (`path_mode`), whatever module or function calls them;
nothing of the model is replaced. The mode (`mode`) looks up the name of each (`operations`): what is linear is left
alone; what has a rule (`table`) is exchanged for its counterpart in `engine.slopes` (`elementwise`, `products`,
`softmax`, `norms`, `maxima`); what is built of known parts is taken apart; and the rest keeps its derivative and is
named in `fallbacks`. Where the points of a chunk lie in a tensor is followed by `engine.rows`.
"""

from ig_widgets.engine.secant.kink_mode import KinkMode as KinkMode
from ig_widgets.engine.secant.mode import SecantMode as SecantMode
from ig_widgets.engine.secant.path_mode import LeaveError as LeaveError
from ig_widgets.engine.secant.path_mode import SecantRuleError as SecantRuleError
