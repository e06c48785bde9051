//! The stock plugins: components inside this binary, which its build compiles from `plugins/`.

include!(concat!(env!("OUT_DIR"), "/stock.rs"));
