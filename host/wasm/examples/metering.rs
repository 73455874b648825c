//! Measures what fuel costs a guest that only computes: `cargo run --release -p dacapo-wasm --example metering`.
//!
//! The same function, compiled with fuel and without, by turns. It sieves primes: loops, branches, and memory that is read
//! and written. The host runs nothing without fuel; and a guest that calls the host much pays less than this, because calls
//! cost the same either way.

use std::time::Instant;

use wasmtime::{Config, Engine, Instance, Module, Store};

/// Primes below this number are counted.
const BELOW: i32 = 1 << 20;

const ROUNDS: usize = 31;

const SIEVE: &str = r#"(module
  (memory 17)
  (func (export "primes") (param $below i32) (result i32)
    (local $n i32) (local $multiple i32) (local $count i32)
    (memory.fill (i32.const 0) (i32.const 0) (local.get $below))
    (local.set $n (i32.const 2))
    (loop $numbers
      (if (i32.eqz (i32.load8_u (local.get $n)))
        (then
          (local.set $count (i32.add (local.get $count) (i32.const 1)))
          (local.set $multiple (i32.add (local.get $n) (local.get $n)))
          (block $done
            (loop $multiples
              (br_if $done (i32.ge_u (local.get $multiple) (local.get $below)))
              (i32.store8 (local.get $multiple) (i32.const 1))
              (local.set $multiple (i32.add (local.get $multiple) (local.get $n)))
              (br $multiples)))))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $numbers (i32.lt_u (local.get $n) (local.get $below))))
    (local.get $count)))"#;

struct Guest {
    store: Store<()>,
    primes: wasmtime::TypedFunc<i32, i32>,
    milliseconds: Vec<f64>,
}

impl Guest {
    fn new(fuel: bool) -> wasmtime::Result<Self> {
        let mut config = Config::new();
        config.consume_fuel(fuel).cranelift_nan_canonicalization(true);
        let engine = Engine::new(&config)?;
        let mut store = Store::new(&engine, ());
        if fuel {
            store.set_fuel(u64::MAX)?;
        }
        let module = Module::new(&engine, wat::parse_str(SIEVE).expect("it is WAT"))?;
        let primes = Instance::new(&mut store, &module, &[])?.get_typed_func(&mut store, "primes")?;
        Ok(Self { store, primes, milliseconds: Vec::new() })
    }

    fn run(&mut self) -> wasmtime::Result<()> {
        let begin = Instant::now();
        assert_eq!(self.primes.call(&mut self.store, BELOW)?, 82_025);
        self.milliseconds.push(begin.elapsed().as_secs_f64() * 1e3);
        Ok(())
    }

    fn median(&mut self) -> f64 {
        self.milliseconds.sort_by(f64::total_cmp);
        self.milliseconds[ROUNDS / 2]
    }
}

fn main() -> wasmtime::Result<()> {
    let (mut with, mut without) = (Guest::new(true)?, Guest::new(false)?);
    for _ in 0..ROUNDS {
        with.run()?;
        without.run()?;
    }
    let (with, without) = (with.median(), without.median());
    println!("with fuel                 {with:>9.2} ms");
    println!("without                   {without:>9.2} ms");
    println!("with / without            {:>9.2} x", with / without);
    Ok(())
}
