//! The progress of one pull: the image's layers and their sum.

use std::collections::BTreeMap;

use bollard::models::CreateImageInfo;

use crate::event::Part;

/// The progress of each layer's download.
#[derive(Debug, Default)]
pub struct Layers(BTreeMap<String, Layer>);

#[derive(Debug, Default)]
struct Layer {
    done: u64,
    total: Option<u64>,
}

impl Layers {
    /// Processes a message of the engine. Returns true if it changed anything.
    pub fn take(&mut self, message: &CreateImageInfo) -> bool {
        let (Some(id), Some(status)) = (&message.id, &message.status) else { return false };
        let detail = message.progress_detail.as_ref();
        let number = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
        match status.as_str() {
            "Pulling fs layer" | "Waiting" => {
                self.0.entry(id.clone()).or_default();
            }
            "Downloading" => {
                let layer = self.0.entry(id.clone()).or_default();
                layer.done = number(detail.and_then(|detail| detail.current)).unwrap_or(layer.done);
                layer.total = number(detail.and_then(|detail| detail.total))
                    .filter(|total| *total > 0)
                    .or(layer.total);
            }
            "Download complete" | "Pull complete" => {
                let layer = self.0.entry(id.clone()).or_default();
                // A small layer may arrive without a message about its size.
                layer.done = layer.total.unwrap_or(layer.done);
                layer.total = Some(layer.done);
            }
            // Nothing to download.
            "Already exists" => {
                self.0.entry(id.clone()).or_default().total = Some(0);
            }
            _ => return false,
        }
        true
    }

    /// Returns the bytes that arrived, and the total; `None` until every layer's size is known.
    pub fn sum(&self) -> (u64, Option<u64>) {
        let done = self.0.values().map(|layer| layer.done).sum();
        (done, self.0.values().map(|layer| layer.total).sum())
    }

    /// Returns the progress of each layer.
    pub fn parts(&self) -> Vec<Part> {
        let part = |(id, layer): (&String, &Layer)| Part {
            name: format!("layer {id}"),
            done: layer.done,
            total: layer.total,
        };
        self.0.iter().map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    #[test]
    fn layers_are_summed_and_the_total_waits_for_all() {
        let mut layers = Layers::default();
        let mut say = |id: &str, status: &str, detail: Option<(i64, i64)>| {
            let progress_detail = detail.map(|(current, total)| ProgressDetail {
                current: Some(current),
                total: Some(total),
            });
            layers.take(&CreateImageInfo {
                id: Some(id.to_owned()),
                status: Some(status.to_owned()),
                progress_detail,
                ..CreateImageInfo::default()
            });
            layers.sum()
        };
        assert_eq!(say("a", "Pulling fs layer", None), (0, None));
        assert_eq!(say("b", "Pulling fs layer", None), (0, None));
        assert_eq!(say("a", "Downloading", Some((10, 100))), (10, None));
        assert_eq!(say("b", "Downloading", Some((5, 50))), (15, Some(150)));
        assert_eq!(say("b", "Download complete", None), (60, Some(150)));
        assert_eq!(say("b", "Extracting", Some((1, 50))), (60, Some(150)));
        assert_eq!(say("a", "Pull complete", None), (150, Some(150)));
    }
}
