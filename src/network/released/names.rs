//! Names and shapes of the released models' tensors, and of ours that hold the same values.

use crate::network::model::{EmbeddingHeadConfig, SpecFormerConfig, VitConfig};

/// A tensor of a released file. The values of `ours`, one after the other, are its values: linear weights
/// are `(outputs, inputs)` in files of both programs, so that no tensor needs more than another shape.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) ours: Vec<(String, Vec<usize>)>,
}

/// Entries of a module under its prefixes in both programs.
struct Names<'a> {
    released: &'a str,
    ours: &'a str,
    entries: Vec<Entry>,
}

impl<'a> Names<'a> {
    fn under(released: &'a str, ours: &'a str) -> Self {
        Self {
            released,
            ours,
            entries: Vec::new(),
        }
    }

    /// A tensor of the same values under two names and shapes.
    fn reshaped(&mut self, (name, shape): (&str, &[usize]), (ours, our_shape): (&str, &[usize])) {
        self.joined((name, shape), &[(ours, our_shape)]);
    }

    fn joined(&mut self, (name, shape): (&str, &[usize]), ours: &[(&str, &[usize])]) {
        let ours = ours
            .iter()
            .map(|(name, shape)| (format!("{}{name}", self.ours), shape.to_vec()));
        self.entries.push(Entry {
            name: format!("{}{name}", self.released),
            shape: shape.to_vec(),
            ours: ours.collect(),
        });
    }

    fn same(&mut self, name: &str, ours: &str, shape: &[usize]) {
        self.reshaped((name, shape), (ours, shape));
    }

    fn linear(&mut self, name: &str, ours: &str, [outputs, inputs]: [usize; 2]) {
        let weight = |name: &str| format!("{name}.weight");
        let bias = |name: &str| format!("{name}.bias");
        self.same(&weight(name), &weight(ours), &[outputs, inputs]);
        self.same(&bias(name), &bias(ours), &[outputs]);
    }

    fn norm(&mut self, name: &str, ours: &str, width: usize) {
        for part in ["weight", "bias"] {
            self.same(
                &format!("{name}.{part}"),
                &format!("{ours}.{part}"),
                &[width],
            );
        }
    }
}

/// The image transformer, `backbone` of the released image model; `blocks_per_chunk` as in
/// [`ImportSource`](crate::network::weights::ImportSource).
pub(super) fn vit(
    config: &VitConfig,
    blocks_per_chunk: Option<usize>,
    released: &str,
    ours: &str,
) -> Vec<Entry> {
    let width = config.width;
    let hidden = (width as f64 * config.mlp_ratio).round() as usize;
    let (channels, patch) = (config.channels, config.patch_size);
    let tokens = 1 + config.patches(config.image_size);
    let mut names = Names::under(released, ours);
    names.same("cls_token", "cls_token", &[1, 1, width]);
    names.same("pos_embed", "pos_embed", &[1, tokens, width]);
    names.same("mask_token", "mask_token", &[1, width]);
    names.reshaped(
        ("patch_embed.proj.weight", &[width, channels, patch, patch]),
        ("patch_embed.weight", &[width, channels * patch * patch]),
    );
    names.same("patch_embed.proj.bias", "patch_embed.bias", &[width]);
    names.norm("norm", "norm", width);
    for index in 0..config.depth {
        let block = match blocks_per_chunk {
            Some(blocks) => format!("blocks.{}.{index}", index / blocks.max(1)),
            None => format!("blocks.{index}"),
        };
        let names_of = |part: &str| (format!("{block}.{part}"), format!("blocks.{index}.{part}"));
        for part in ["norm1", "norm2"] {
            let (name, ours) = names_of(part);
            names.norm(&name, &ours, width);
        }
        for part in ["ls1.gamma", "ls2.gamma"] {
            let (name, ours) = names_of(part);
            names.same(&name, &ours, &[width]);
        }
        for (part, shape) in [
            ("attn.qkv", [3 * width, width]),
            ("attn.proj", [width, width]),
            ("mlp.fc1", [hidden, width]),
            ("mlp.fc2", [width, hidden]),
        ] {
            let (name, ours) = names_of(part);
            names.linear(&name, &ours, shape);
        }
    }
    names.entries
}

/// The spectrum transformer.
pub(super) fn specformer(config: &SpecFormerConfig, released: &str, ours: &str) -> Vec<Entry> {
    let width = config.width;
    let hidden = (width as f64 * config.mlp_ratio).round() as usize;
    let mut names = Names::under(released, ours);
    names.linear("data_embed", "data_embed", [width, config.token_width]);
    names.same(
        "position_embed.weight",
        "position_embed",
        &[config.max_tokens, width],
    );
    for index in 0..config.depth {
        let name = |part: &str| format!("blocks.{index}.{part}");
        names.norm(&name("layernorm1"), &name("norm1"), width);
        names.norm(&name("layernorm2"), &name("norm2"), width);
        for (part, ours, shape) in [
            ("attention.attention", "attn.qkv", [3 * width, width]),
            ("attention.projection", "attn.proj", [width, width]),
            ("mlp.encoder", "mlp.fc1", [hidden, width]),
            ("mlp.decoder", "mlp.fc2", [width, hidden]),
        ] {
            names.linear(&name(part), &name(ours), shape);
        }
    }
    names.norm("final_layernorm", "final_layernorm", width);
    names.linear("head", "head", [config.token_width, width]);
    names.entries
}

/// A head on tokens of `width`. PyTorch's attention fuses the projections of query, keys and values
/// where the tokens are as wide as the embedding.
pub(super) fn head(
    config: &EmbeddingHeadConfig,
    width: usize,
    released: &str,
    ours: &str,
) -> Vec<Entry> {
    let embedding = config.embedding;
    let hidden = (embedding as f64 * config.mlp_ratio).round() as usize;
    let mut names = Names::under(released, ours);
    names.reshaped(
        ("cross_attention.query", &[1, 1, embedding]),
        ("cross_attention.query", &[embedding]),
    );
    let projections = [("q", embedding), ("k", width), ("v", width)];
    let ours_of = |kind: &str, part: &str| format!("cross_attention.{kind}_proj.{part}");
    let weights = projections.map(|(kind, inputs)| (ours_of(kind, "weight"), [embedding, inputs]));
    if width == embedding {
        names.joined(
            (
                "cross_attention.multihead_attn.in_proj_weight",
                &[3 * embedding, embedding],
            ),
            &weights
                .each_ref()
                .map(|(name, shape)| (name.as_str(), shape.as_slice())),
        );
    } else {
        for ((kind, _), (ours, shape)) in projections.iter().zip(&weights) {
            let name = format!("cross_attention.multihead_attn.{kind}_proj_weight");
            names.same(&name, ours, shape);
        }
    }
    let bias_shape = [embedding];
    let biases = projections.map(|(kind, _)| ours_of(kind, "bias"));
    names.joined(
        (
            "cross_attention.multihead_attn.in_proj_bias",
            &[3 * embedding],
        ),
        &biases
            .each_ref()
            .map(|name| (name.as_str(), bias_shape.as_slice())),
    );
    names.linear(
        "cross_attention.multihead_attn.out_proj",
        "cross_attention.out_proj",
        [embedding, embedding],
    );
    names.norm("cross_attention.layernorm", "layernorm", embedding);
    names.linear("mlp.encoder", "mlp.fc1", [hidden, embedding]);
    names.linear("mlp.decoder", "mlp.fc2", [embedding, hidden]);
    names.entries
}
