/**
 * `app.hook` of `@azure/functions`. Hooks run around triggers and activities, each call of which has an instance of its own; so the app
 * starts before each, and terminates after it. Orchestrators and entities are replayed or wait for nothing, so they have no hooks.
 */

const hooks = { appStart: [], appTerminate: [], log: [], postInvocation: [], preInvocation: [] };

/** @returns an object whose `dispose` removes the hook */
export function registerHook(name, callback) {
  if (typeof callback !== "function") {
    throw new TypeError(`The hook ${name} must be a function.`);
  }
  hooks[name].push(callback);
  return {
    dispose() {
      hooks[name] = hooks[name].filter((other) => other !== callback);
    },
  };
}

/** What all hooks of a kind get. Only some properties may be replaced. */
class HookContext {
  constructor(properties, replaceable = []) {
    for (const [name, value] of Object.entries(properties)) {
      Object.defineProperty(this, name, { value, writable: replaceable.includes(name), enumerable: true });
    }
  }
}

export class AppStartContext extends HookContext {
  constructor({ hookData = {} } = {}) {
    super({ hookData });
  }
}

export class AppTerminateContext extends HookContext {
  constructor({ hookData = {} } = {}) {
    super({ hookData });
  }
}

export class InvocationHookContext extends HookContext {}

export class PreInvocationContext extends InvocationHookContext {
  constructor({ inputs = [], functionCallback = () => {}, invocationContext, hookData = {} } = {}) {
    super({ inputs, functionHandler: functionCallback, invocationContext, hookData }, ["inputs", "functionHandler"]);
  }
}

export class PostInvocationContext extends InvocationHookContext {
  constructor({ inputs = [], result, error, invocationContext, hookData = {} } = {}) {
    super({ inputs, result, error, invocationContext, hookData }, ["inputs", "result", "error"]);
  }
}

export class LogHookContext extends HookContext {
  constructor({ level = "information", message = "", category = "user", invocationContext, hookData = {} } = {}) {
    super({ level, message, category, invocationContext, hookData }, ["level", "message"]);
  }
}

/** Calls a handler `(...inputs, context)` with the hooks around it, and returns its result or a promise of it. */
export function invoke(handler, inputs, invocationContext) {
  const { appStart, appTerminate, preInvocation, postInvocation } = hooks;
  const hasHooks = [appStart, appTerminate, preInvocation, postInvocation].some((callbacks) => callbacks.length > 0);
  return hasHooks ? invokeWithHooks(handler, inputs, invocationContext) : handler(...inputs, invocationContext);
}

async function invokeWithHooks(handler, inputs, invocationContext) {
  const appData = {};
  await runAll("appStart", new AppStartContext({ hookData: appData }));
  try {
    return await invokeOnce(handler, inputs, invocationContext);
  } finally {
    await runAll("appTerminate", new AppTerminateContext({ hookData: appData }));
  }
}

async function invokeOnce(handler, inputs, invocationContext) {
  const hookData = {};
  const before = new PreInvocationContext({ inputs, functionCallback: handler, invocationContext, hookData });
  await runAll("preInvocation", before);
  const after = new PostInvocationContext({ inputs: before.inputs, invocationContext, hookData });
  try {
    after.result = await before.functionHandler(...before.inputs, invocationContext);
  } catch (error) {
    after.error = error;
  }
  await runAll("postInvocation", after);
  if (after.error !== undefined && after.error !== null) {
    throw after.error;
  }
  return after.result;
}

async function runAll(name, context) {
  for (const hook of hooks[name]) {
    await hook(context);
  }
}

/** What hooks of the log make of a line: its level and message. They are synchronous; one that logs does not call itself. */
export function loggedLine(level, message, invocationContext) {
  if (hooks.log.length === 0 || isLogging) {
    return { level, message };
  }
  const context = new LogHookContext({ level, message, invocationContext });
  isLogging = true;
  try {
    hooks.log.forEach((hook) => void hook(context));
  } finally {
    isLogging = false;
  }
  return context;
}

let isLogging = false;
