//! The stock plugins: components inside this binary, put there by `build.rs`.

include!(concat!(env!("OUT_DIR"), "/stock.rs"));
