export { EntityId } from "./entity-id.js";
