export function durableClient() {
  return { type: "durableClient", name: "durableClient" };
}
