//! The functions of a release that know its options, found in its files.

use super::mailcow;
use crate::error::Result;

/// The functions of a release that bring a `mailcow.conf` up to date, as bash.
#[derive(Clone, Debug)]
pub struct Functions(String);

impl Functions {
    /// Returns the functions of a release, given a reader of its files: its modules, or the
    /// functions and the inline part of an older update.sh. `None` if the release has neither.
    pub fn of_release(
        mut file: impl FnMut(&str) -> Result<Option<Vec<u8>>>,
    ) -> Result<Option<Self>> {
        let mut modules = String::new();
        for name in mailcow::OPTION_MODULES {
            modules.extend(
                file(name)?.map(|content| format!("{}\n", String::from_utf8_lossy(&content))),
            );
        }
        if !modules.is_empty() {
            return Ok(Some(Self(modules)));
        }
        let script = file(mailcow::UPDATE_SCRIPT)?.unwrap_or_default();
        let script = String::from_utf8_lossy(&script);
        let functions = mailcow::OPTION_FUNCTIONS
            .iter()
            .filter_map(|name| block(&script, &format!("{name}()"), "}"));
        let functions: String = functions.chain(inline(&script)).collect();
        Ok(Some(functions).filter(|functions| !functions.is_empty()).map(Self))
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Returns true if the functions mention this option, and not as one that they add.
    pub fn make_obsolete(&self, option: &str) -> bool {
        let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let named = self.0.split(|character| !is_part(character)).any(|word| word == option);
        named && !mailcow::bash_list(&self.0, "CONFIG_ARRAY").iter().any(|wanted| wanted == option)
    }

    /// The files below `data/` that the functions name.
    pub fn files(&self) -> Vec<&str> {
        let is_part =
            |character: char| character.is_ascii_alphanumeric() || "._-/".contains(character);
        let words = self.0.split(|character| !is_part(character));
        let mut files: Vec<&str> =
            words.filter_map(|word| word.find("data/").map(|at| &word[at..])).collect();
        files.retain(|file| file.len() > "data/".len() && !file.contains(".."));
        files.sort_unstable();
        files.dedup();
        files
    }
}

/// Returns the part of older releases (before 2025-09) that migrates the options outside of
/// functions: the list of options and the loop over it.
fn inline(script: &str) -> Option<String> {
    let list = block(script, "CONFIG_ARRAY=(", ")")?;
    let each = block(script, "for option in ", "done")?;
    Some(format!(
        "{}() {{\nsed -i --follow-symlinks '$a\\' mailcow.conf\n{list}{each}}}\n",
        mailcow::INLINE_OPTIONS
    ))
}

/// The lines of a script from the one that begins with `head`, at the beginning of a line, to the
/// next that is `end`.
fn block(script: &str, head: &str, end: &str) -> Option<String> {
    let mut lines = script.lines().skip_while(|line| !line.starts_with(head)).peekable();
    lines.peek()?;
    let mut text = String::new();
    for line in lines {
        text.push_str(line);
        text.push('\n');
        if line == end {
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_script(script: &str) -> Option<Functions> {
        Functions::of_release(|name| {
            Ok((name == mailcow::UPDATE_SCRIPT).then(|| script.as_bytes().to_vec()))
        })
        .unwrap()
    }

    #[test]
    fn older_releases_carry_their_functions_in_update_sh() {
        let script = "x() {\n}\nadapt_new_options() {\n  echo a\n}\nCONFIG_ARRAY=(\n  \"A\"\n)\necho no\nfor option in $A; do\n  echo $option\ndone\necho rest\n";
        let functions = of_script(script).unwrap();
        assert!(functions.text().starts_with("adapt_new_options() {\n  echo a\n}\n"));
        assert!(functions.text().contains(
            "CONFIG_ARRAY=(\n  \"A\"\n)\nfor option in $A; do\n  echo $option\ndone\n}\n"
        ));
        assert!(of_script("echo nothing\n").is_none());
    }

    #[test]
    fn obsolete_options_are_told_from_wanted_ones() {
        let functions = of_script("migrate_config_options() {\n  sed '/SOLR_HEAP\\b/d' mailcow.conf\n  rm ${DIR}/data/conf/x.conf data/../y\n}\nCONFIG_ARRAY=(\n  \"SKIP_SOGO\"\n)\nfor option in x; do\ndone\n").unwrap();
        assert!(functions.make_obsolete("SOLR_HEAP"));
        assert!(!functions.make_obsolete("MY_SOLR_HEAP") && !functions.make_obsolete("SKIP_SOGO"));
        assert_eq!(functions.files(), ["data/conf/x.conf"]);
    }
}
