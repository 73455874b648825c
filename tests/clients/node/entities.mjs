// signalEntity and readEntityState, on the entity `counter`.

import { isDeepStrictEqual } from "node:util";

import { check, equal, refused, shown } from "./checks.mjs";
import { durable } from "./library.mjs";
import { fresh } from "./world.mjs";

const counter = (text = "") => new durable.EntityId("counter", `${fresh()}${text}`);

/** Signals are one-way: the value is there a little later. Undefined: the entity is not there. */
async function stateIs(world, entity, value) {
  const wanted = value === undefined ? undefined : { value };
  const read = async () => {
    const answer = await world.client.readEntityState(entity);
    return answer.entityExists ? answer.entityState : undefined;
  };
  const what = `the state of ${entity}, which should become ${shown(wanted)},`;
  await world.reading(read, (seen) => isDeepStrictEqual(seen, wanted), what);
}

check("readEntityState of an entity that was never used", async (world) => {
  const { entityExists, entityState } = await world.client.readEntityState(counter());
  equal([entityExists, entityState], [false, undefined], "the answer");
});

check("signalEntity and readEntityState", async (world) => {
  const entity = counter();
  equal(await world.client.signalEntity(entity, "add", 5), undefined, "the answer");
  await stateIs(world, entity, 5);
  await world.client.signalEntity(entity, "add", -7);
  await stateIs(world, entity, -2);
  await world.client.signalEntity(entity, "add", 0);
  await world.client.signalEntity(entity, "get");
  await world.client.signalEntity(entity, "reset");
  await stateIs(world, entity, 0);
  await world.client.signalEntity(entity, "delete");
  await stateIs(world, entity, undefined);
});

check("signalEntity many times at once loses nothing", async (world) => {
  const entity = counter();
  await Promise.all(Array.from({ length: 100 }, (_, number) => world.client.signalEntity(entity, "add", number)));
  await stateIs(world, entity, 4950);
});

check("signalEntity with a task hub and a connection", async (world) => {
  const entity = counter();
  const options = { taskHubName: world.hub, connectionName: "Storage" };
  await world.client.signalEntity(entity, "add", 7, options);
  await stateIs(world, entity, 7);
  equal((await world.client.readEntityState(entity, options)).entityState, { value: 7 }, "the state");
  const elsewhere = world.webhooks ? /404.*Elsewhere/ : /403.*opens nothing else/;
  await refused(() => world.client.signalEntity(entity, "add", 1, { taskHubName: "Elsewhere" }), elsewhere);
});

check("the name of an entity ignores case, its key does not", async (world) => {
  const entity = counter("-Key");
  await world.client.signalEntity(new durable.EntityId("Counter", entity.key), "add", 4);
  await stateIs(world, entity, 4);
  await stateIs(world, new durable.EntityId("counter", entity.key.toLowerCase()), undefined);
});

for (const text of [" a b", "a+b:c;d=e&f", "gr\u00fc\u00df", "@x@y", "100%"]) {
  check(`an entity key with '${text}'`, async (world) => {
    const entity = counter(text);
    await world.client.signalEntity(entity, "add", 3);
    await stateIs(world, entity, 3);
    await world.client.signalEntity(entity, "delete");
    await stateIs(world, entity, undefined);
  });
}

for (const [name, operation, content] of [
  ["that the entity does not have", "no_such_operation", { a: 1 }],
  ["with an input of the wrong type", "add", "five"],
  ["without a name", undefined, undefined],
]) {
  check(`an operation ${name} changes nothing`, async (world) => {
    const entity = counter();
    await world.client.signalEntity(entity, "add", 2);
    await world.client.signalEntity(entity, operation, content);
    await world.client.signalEntity(entity, "add", 2);
    await stateIs(world, entity, 4);
  });
}

check("entities are listed and purged with instances", async (world) => {
  const entity = counter();
  await world.client.signalEntity(entity, "add", 1);
  await stateIs(world, entity, 1);
  const ids = (await world.client.getStatusAll()).map(({ instanceId }) => instanceId);
  equal(ids.filter((id) => id === `${entity}`), [`${entity}`], "its id in the list");
  equal((await world.client.purgeInstanceHistory(`${entity}`)).instancesDeleted, 1, "the number of purged instances");
  await stateIs(world, entity, undefined);
});
