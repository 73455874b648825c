import { constants as ofFiles } from "./fs-constants.js";
import { constants as ofTheSystem } from "./os.js";

export default { ...ofTheSystem.errno, ...ofTheSystem.signals, ...ofFiles };
