import { image } from "../image/kind.js";
import { explorerOf } from "./explorer.js";

export default explorerOf(image);
