/** What sets how finely a method samples: a number of steps, a tolerance, or nothing. */
export type Fineness = "steps" | "tolerance" | "none";

export interface Method {
  /** As a person reads it; traits and messages have the name. */
  readonly words: string;
  /** One plain sentence. */
  readonly sentence: string;
  readonly group: string;
  readonly fineness: Fineness;
}

const IG = "Integrated Gradients, by a rule";
const RELATIVES = "relatives";

function method(words: string, sentence: string, group = IG, fineness: Fineness = "steps"): Method {
  return { words, sentence, group, fineness };
}

const METHODS: Readonly<Record<string, Method>> = {
  auto: method(
    "to a tolerance",
    "Chooses the rule and samples until the map is within the tolerance.",
    IG,
    "tolerance",
  ),
  adaptive: method(
    "adaptive points",
    "Samples where the path needs it until the map is within the tolerance.",
    IG,
    "tolerance",
  ),
  riemann_left: method("left ends", "Takes the gradient at the start of each step."),
  riemann_right: method("right ends", "Takes the gradient at the end of each step."),
  riemann_middle: method("middle points", "Takes the gradient in the middle of each step."),
  riemann_trapezoid: method(
    "trapezoids",
    "Takes the mean of the gradients at both ends of each step.",
  ),
  gausslegendre: method(
    "Gauss-Legendre",
    "Places few points so that smooth models need no more of them.",
  ),
  fejer: method("Fejér", "Places points so that finer rules use them again."),
  secant: method(
    "secant cells",
    "Takes the mean slope of each step, so that its attributions sum to the change of F.",
  ),
  gradient: method("gradient", "The gradient at the input alone, on no path.", RELATIVES, "none"),
  input_x_gradient: method(
    "input × gradient",
    "The gradient at the input times input minus baseline.",
    RELATIVES,
    "none",
  ),
  smoothgrad: method("SmoothGrad", "The mean gradient at noisy copies of the input.", RELATIVES),
  expected_gradients: method(
    "expected gradients",
    "The mean over random points on the way from many baselines.",
    RELATIVES,
  ),
  guided_integrated_gradients: method(
    "guided IG",
    "Follows a path on which the gradient is small, so that less noise is collected.",
    RELATIVES,
  ),
  blur_integrated_gradients: method(
    "blur IG",
    "Follows a path from a blurred picture to the sharp one.",
    RELATIVES,
  ),
};

/** Returns what is known of a method; one that is not known here goes by its name. */
export function methodOf(name: string): Method {
  return METHODS[name] ?? { words: name, sentence: name, group: RELATIVES, fineness: "steps" };
}
