//! Blocks of one name are told apart by their order alone: what one side has made of them stands, what both have is not guessed at.

use crate::file::File;

/// What all blocks of one name say, in their order: scopes, keys and values.
type Row<'f> = Vec<(&'f str, &'f str, String)>;

/// What the merged file has to say in its blocks of one name: where these are, and what.
pub struct Rows<'f>(Vec<(String, Row<'f>)>);

impl<'f> Rows<'f> {
    /// The rows of the side that changed them, or why that cannot be told.
    pub fn settle(base: &'f File, ours: &'f File, theirs: &'f File) -> Result<Self, String> {
        let counts = theirs.repeated_blocks();
        if ours.repeated_blocks() != counts
            || !base.items.is_empty() && base.repeated_blocks() != counts
        {
            return Err("a block that comes more than once was added or removed".to_owned());
        }
        let settled = counts.into_keys().map(|(scope, name)| {
            let within = File::numbered(scope, name);
            let [was, our, their] = [base, ours, theirs].map(|file| row(file, &within));
            if our == was || our == their {
                Ok((within, their))
            } else if their == was {
                Ok((within, our))
            } else {
                Err(format!("both sides changed the blocks that are all named `{name}`"))
            }
        });
        settled.collect::<Result<_, _>>().map(Self)
    }

    /// Whether a file says that.
    pub fn hold(&self, file: &File) -> Result<(), String> {
        match self.0.iter().find(|(within, told)| row(file, within) != *told) {
            Some((within, _)) => {
                Err(format!("the order of what is in each block `{within}` would be lost"))
            }
            None => Ok(()),
        }
    }
}

fn row<'f>(file: &'f File, within: &str) -> Row<'f> {
    let items = file.items.iter().filter(|item| item.scope.starts_with(within));
    items.map(|item| (item.scope.as_str(), item.name.as_str(), item.words())).collect()
}
