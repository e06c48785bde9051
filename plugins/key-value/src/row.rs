//! Blocks with the same name are identified by their order alone. Changes by one side are taken;
//! changes by both sides are an error, because their order would be a guess.

use crate::file::File;

/// The content of all blocks with one name, in order: scopes, keys and values.
type Row<'f> = Vec<(&'f str, &'f str, String)>;

/// The content that the merged file must have in its blocks with one name: scope prefix and row.
pub struct Rows<'f>(Vec<(String, Row<'f>)>);

impl<'f> Rows<'f> {
    /// Returns the rows of the side that changed them. Fails if both sides did.
    pub fn settle(base: &'f File, ours: &'f File, theirs: &'f File) -> Result<Self, String> {
        let counts = theirs.repeated_blocks();
        if ours.repeated_blocks() != counts
            || !base.items.is_empty() && base.repeated_blocks() != counts
        {
            return Err("a block that occurs more than once was added or removed".to_owned());
        }
        let settled = counts.into_keys().map(|(scope, name)| {
            let within = File::numbered(scope, name);
            let [was, our, their] = [base, ours, theirs].map(|file| row(file, &within));
            if our == was || our == their {
                Ok((within, their))
            } else if their == was {
                Ok((within, our))
            } else {
                Err(format!("both sides changed the blocks named `{name}`, which occur repeatedly"))
            }
        });
        settled.collect::<Result<_, _>>().map(Self)
    }

    /// Checks that a file has this content.
    pub fn hold(&self, file: &File) -> Result<(), String> {
        match self.0.iter().find(|(within, expected)| row(file, within) != *expected) {
            Some((within, _)) => {
                Err(format!("the order of the contents of the blocks `{within}` would be lost"))
            }
            None => Ok(()),
        }
    }
}

fn row<'f>(file: &'f File, within: &str) -> Row<'f> {
    let items = file.items.iter().filter(|item| item.scope.starts_with(within));
    items.map(|item| (item.scope.as_str(), item.name.as_str(), item.words())).collect()
}
