export function activity() {
  return { type: "activityTrigger", name: "activityTrigger" };
}

export function orchestration() {
  return { type: "orchestrationTrigger", name: "orchestrationTrigger" };
}

export function entity() {
  return { type: "entityTrigger", name: "entityTrigger" };
}
