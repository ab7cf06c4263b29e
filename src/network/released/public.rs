//! Image transformers that others have published: which are known, and how their tensors are called.
//!
//! Names are those of facebookresearch/dinov2 (`dinov2/models/vision_transformer.py`) and of the same models in
//! huggingface/transformers (`models/dinov2/convert_dinov2_to_hf.py`).

use super::file::ReleasedFile;

/// Tensors beside the patches that DINOv2's models with registers have, of the public code and of timm.
pub(super) const REGISTERS: [&str; 4] = [
    "register_tokens",
    "backbone.register_tokens",
    "reg_token",
    "backbone.reg_token",
];

/// Gives the tensors of a DINOv2 model of Hugging Face's transformers the names of the public code; queries, keys and
/// values become one.
pub(super) fn to_public_names(file: &mut ReleasedFile) {
    file.rename(public_name);
}

/// The public code's name of a tensor of Hugging Face's, and its place among those that become one.
fn public_name(name: &str) -> Option<(String, usize)> {
    let name = name.strip_prefix("dinov2.").unwrap_or(name);
    if let Some(rest) = name.strip_prefix("encoder.layer.") {
        let (index, rest) = rest.split_once('.')?;
        let (module, part) = rest.rsplit_once('.')?;
        let (module, part, order) = match (module, part) {
            ("attention.attention.query", part) => ("attn.qkv", part, 0),
            ("attention.attention.key", part) => ("attn.qkv", part, 1),
            ("attention.attention.value", part) => ("attn.qkv", part, 2),
            ("attention.output.dense", part) => ("attn.proj", part, 0),
            ("layer_scale1", "lambda1") => ("ls1", "gamma", 0),
            ("layer_scale2", "lambda1") => ("ls2", "gamma", 0),
            same => (same.0, same.1, 0),
        };
        return Some((format!("backbone.blocks.{index}.{module}.{part}"), order));
    }
    let known = [
        ("embeddings.cls_token", "cls_token"),
        ("embeddings.mask_token", "mask_token"),
        ("embeddings.position_embeddings", "pos_embed"),
        ("embeddings.register_tokens", "register_tokens"),
        (
            "embeddings.patch_embeddings.projection.weight",
            "patch_embed.proj.weight",
        ),
        (
            "embeddings.patch_embeddings.projection.bias",
            "patch_embed.proj.bias",
        ),
        ("layernorm.weight", "norm.weight"),
        ("layernorm.bias", "norm.bias"),
    ];
    let found = known.into_iter().find(|(theirs, _)| *theirs == name);
    found.map(|(_, public)| (format!("backbone.{public}"), 0))
}

/// Refuses transformers that compute otherwise than ours.
///
/// # Errors
///
/// Says which it is, and which others are taken.
pub(super) fn check_known(file: &ReleasedFile) -> Result<(), String> {
    let has = |part: &str| file.names().any(|name| name.contains(part));
    // facebookresearch/dinov3, and huggingface/transformers' `DINOv3ViTModel`.
    if [
        "rope_embed",
        "storage_tokens",
        "embeddings.patch_embeddings.weight",
    ]
    .into_iter()
    .any(has)
    {
        return Err(
            "it is a DINOv3 transformer, whose positions are rotations of queries and keys (RoPE); the one that is \
             trained here has learned positions and would compute something else with these weights. Give a DINOv2 \
             file, such as dinov2_vits14_pretrain.pth"
                .to_owned(),
        );
    }
    if [".mlp.w12.", ".mlp.weights_in."].into_iter().any(has) {
        return Err(
            "its blocks have SwiGLU in place of an MLP, as DINOv2's ViT-g/14 has; the transformer that is trained here \
             has none. Give dinov2_vits14, dinov2_vitb14 or dinov2_vitl14"
                .to_owned(),
        );
    }
    Ok(())
}
