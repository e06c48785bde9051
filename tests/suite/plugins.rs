//! A site's own plugins, from outside: what is refused before a run begins.

use crate::support::site::Site;
use crate::support::tests;

tests! {
    Nothing: a_file_that_is_missing,
    a_file_that_is_no_web_assembly,
    a_core_module,
    a_component_without_hooks,
    a_component_for_another_version_of_the_hooks,
    a_stock_plugin_that_does_not_exist,
    two_plugins_of_one_name,
}

/// A site with this plugin.
fn with_plugin(bytes: Option<&[u8]>) -> Site {
    let site = Site::without_engine().behind_one_release();
    let site = site.has("cowhand.toml", "[[plugin]]\nname = \"mine\"\nsource = \"plugins/mine.wasm\"\n");
    if let Some(bytes) = bytes {
        site.write("plugins/mine.wasm", bytes).unwrap();
    }
    site
}

fn refused(site: &Site, code: i32, words: &[&str]) {
    let before = site.state();
    let mut ran = site.cowhand(["plan", "--until", "merge"]).exits(code);
    for words in words {
        ran = ran.says(words);
    }
    site.is_untouched_since(&before);
}

fn a_file_that_is_missing() {
    refused(&with_plugin(None), 10, &["mine", "plugins/mine.wasm"]);
}

fn a_file_that_is_no_web_assembly() {
    refused(&with_plugin(Some(b"#!/bin/bash\n")), 10, &["mine", "not WebAssembly"]);
}

fn a_core_module() {
    refused(&with_plugin(Some(b"\0asm\x01\0\0\0")), 10, &["mine", "wasm32-wasip2"]);
}

fn a_component_without_hooks() {
    refused(&with_plugin(Some(b"\0asm\x0d\0\x01\0")), 10, &["mine", "hook"]);
}

fn a_component_for_another_version_of_the_hooks() {
    let component = component_with_export("cowhand:hooks/pre-merge@9.0.0");
    refused(&with_plugin(Some(&component)), 10, &["mine", "9.0"]);
}

/// A component that exports an empty instance: the header, an instance section, an export section.
fn component_with_export(name: &str) -> Vec<u8> {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let export = [&[1, 0, length(name.as_bytes())], name.as_bytes(), &[5, 0, 0]].concat();
    [b"\0asm\x0d\0\x01\0", &[5, 3, 1, 1, 0][..], &[11, length(&export)], &export].concat()
}

fn a_stock_plugin_that_does_not_exist() {
    let toml = "[[plugin]]\nname = \"mine\"\nsource = \"stock:certificate\"\n";
    refused(&Site::without_engine().has("cowhand.toml", toml), 10, &["stock:certificates"]);
}

fn two_plugins_of_one_name() {
    let one = "[[plugin]]\nname = \"mine\"\nsource = \"stock:notify\"\n";
    refused(&Site::without_engine().has("cowhand.toml", &one.repeat(2)), 2, &["mine"]);
}
