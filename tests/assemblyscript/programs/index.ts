// What programs ask of their host: wazero's example, and the rest of what AssemblyScript's library imports.
export function hello_world(x: i32): i32 {
  return x + 3;
}

export function goodbye_world(): void {
  throw new Error("sad sad world");
}

export function element(index: i32): i32 {
  const list = new Array<i32>(3);
  return list[index];
}

export function traced(): void {
  trace("zero");
  trace("näme 😀", 4, 3, 1.5, 2, -0.25);
}

export function lucky(): f64 {
  return Math.random();
}

export function greet(name: string): string {
  return "Hello, " + name + "!";
}

export function now(): i64 {
  return Date.now();
}

export function log(text: string): void {
  console.log(text);
}

export function leave(code: i32): void {
  process.exit(code);
}
