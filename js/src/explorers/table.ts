import { table } from "../table/kind.js";
import { explorerOf } from "./explorer.js";

export default explorerOf(table);
