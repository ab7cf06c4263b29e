//! Released files of either container, as tensors by canonical name and what else they tell.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use super::HEADER_KEY;

use super::torch_file::{StoredTensor, TorchFile, is_torch_file};
use crate::base::error::{Error, Result};
use crate::base::input;
use crate::files::container::pickle::{Id, Pickle};
use crate::network::weights::{ModelFile, NamedTensor, TensorFile};

/// Keys of a checkpoint under which its weights lie, the wanted one first: DINOv2 keeps student and
/// teacher, Lightning one state dictionary, DeepSpeed a module.
const STATE_KEYS: [&str; 4] = ["teacher", "state_dict", "model", "module"];

/// Modules that hold another and compute nothing of their own, of `torch.compile`, data parallelism and training loops;
/// their names stand in those of their tensors, as often as they were put around a module.
const WRAPPERS: [&str; 4] = ["_orig_mod", "module", "_forward_module", "model"];

/// Wrappers around one module that are looked through.
const MOST_WRAPPERS: usize = 4;

/// Keys of a checkpoint that count training steps, of Lightning and of DINOv2.
const STEP_KEYS: [&str; 2] = ["global_step", "iteration"];

/// Longest name of a tensor, bytes; those of the released models have less than 100.
const LONGEST_NAME: usize = 256;

/// A file of weights of another program.
#[derive(Debug)]
pub(super) struct ReleasedFile {
    container: Container,
    /// By canonical name.
    tensors: BTreeMap<String, Held>,
    pub(super) facts: Facts,
    /// Our own header, where this program exported the file.
    pub(super) header: Option<ModelFile>,
    /// Keys of the checkpoint beside the weights.
    pub(super) beside: Vec<String>,
}

/// A tensor of a model in a file.
#[derive(Debug, Clone)]
struct Held {
    /// Names in the file of the tensors that lie in it one after the other; mostly one.
    names: Vec<String>,
    shape: Vec<usize>,
}

#[derive(Debug)]
enum Container {
    Torch(TorchFile, BTreeMap<String, StoredTensor>),
    Safetensors(TensorFile),
}

/// What shapes cannot tell; the file may know it.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) step: Option<usize>,
    pub(super) image_heads: Option<usize>,
    pub(super) spectrum_heads: Option<usize>,
    pub(super) embedding_heads: Option<usize>,
    pub(super) head_dropout: Option<f64>,
    pub(super) section_length: Option<usize>,
    pub(super) overlap: Option<usize>,
}

impl ReleasedFile {
    /// # Errors
    ///
    /// [`Error::input`] when the file is damaged or of neither container.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut start = Vec::new();
        input::open(path)?
            .take(16)
            .read_to_end(&mut start)
            .map_err(|source| Error::reading(path, source))?;
        let mut file = match is_torch_file(&start) {
            true => Self::open_torch(path)?,
            false => Self::open_safetensors(path)?,
        };
        for (name, tensor) in std::mem::take(&mut file.tensors) {
            if let Some(other) = file.tensors.insert(canonical(&name), tensor) {
                return Err(Error::input(format!(
                    "`{}` and `{name}` are the same tensor of the model; expected one of them",
                    other.names.join("`, `")
                ))
                .in_file(path));
            }
        }
        Ok(file)
    }

    fn open_torch(path: &Path) -> Result<Self> {
        let wrong = |what: String| Error::input(what).in_file(path);
        let file = TorchFile::open(path)?;
        let pickle = &file.pickle;
        let root = pickle.root();
        let state_key = STATE_KEYS.into_iter().find(|key| {
            pickle
                .get(root, key)
                .is_some_and(|id| !pickle.entries(id).is_empty())
        });
        let state = state_key
            .and_then(|key| pickle.get(root, key))
            .unwrap_or(root);

        let mut stored = BTreeMap::new();
        for &(key, value) in pickle.entries(state) {
            if let (Some(name), Some(tensor)) = (pickle.text(key), file.tensor(value)) {
                check_name(name).map_err(wrong)?;
                let tensor = tensor.map_err(|what| wrong(format!("`{name}`: {what}")))?;
                stored.insert(name.to_owned(), tensor);
            }
        }
        let bytes = stored
            .values()
            .map(StoredTensor::bytes)
            .try_fold(0_u64, |sum, bytes| sum.checked_add(bytes?));
        // Tensors may share storages, but then they are not weights.
        if bytes.is_none_or(|bytes| bytes > 2 * file.length()) {
            return Err(wrong(format!(
                "its tensors claim more numbers than its {} bytes hold; it is damaged or not what it seems",
                file.length()
            )));
        }
        let beside = pickle
            .entries(root)
            .iter()
            .filter_map(|(key, _)| pickle.text(*key))
            .filter(|key| state_key.is_some_and(|state| state != *key))
            .filter(|key| !STEP_KEYS.contains(key) && *key != HEADER_KEY)
            .filter(|key| check_name(key).is_ok())
            .map(str::to_owned)
            .collect();
        Ok(Self {
            facts: Facts::of(pickle),
            header: pickle
                .get(root, HEADER_KEY)
                .and_then(|id| pickle.text(id))
                .map(|text| our_header(text, path))
                .transpose()?,
            tensors: stored
                .iter()
                .map(|(name, tensor)| (name.clone(), Held::alone(name, tensor.shape.clone())))
                .collect(),
            container: Container::Torch(file, stored),
            beside,
        })
    }

    fn open_safetensors(path: &Path) -> Result<Self> {
        let file = TensorFile::open(path).map_err(|error| {
            error.and(", or one of torch.save (.ckpt, .pth, .pt) of PyTorch 1.6 or newer")
        })?;
        if file.header::<ModelFile>().is_ok() {
            return Err(Error::input(
                "it is a model of astroclip already; use it with `astroclip embed --weights`",
            )
            .in_file(path));
        }
        for (name, _) in file.shapes() {
            check_name(&name).map_err(|what| Error::input(what).in_file(path))?;
        }
        Ok(Self {
            tensors: file
                .shapes()
                .map(|(name, shape)| (name.clone(), Held::alone(&name, shape)))
                .collect(),
            header: file
                .metadata(HEADER_KEY)
                .map(|text| our_header(text, path))
                .transpose()?,
            container: Container::Safetensors(file),
            facts: Facts::default(),
            beside: Vec::new(),
        })
    }

    /// Canonical names of all tensors.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape of a tensor.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|held| held.shape.as_slice())
    }

    /// Whether a name in the file has such a part between dots.
    pub(super) fn names_part(&self, part: &str) -> bool {
        let mut names = self.tensors.values().flat_map(|held| &held.names);
        names.any(|name| name.split('.').any(|found| found == part))
    }

    /// Gives tensors other names; those of one name, such as queries, keys and values, become one in the order of the
    /// numbers that `rename` tells beside it. Where it tells none, a tensor keeps its name.
    pub(super) fn rename(&mut self, rename: impl Fn(&str) -> Option<(String, usize)>) {
        let mut renamed: BTreeMap<String, BTreeMap<usize, Held>> = BTreeMap::new();
        for (name, held) in std::mem::take(&mut self.tensors) {
            let (name, order) = rename(&name).unwrap_or((name, 0));
            renamed.entry(name).or_default().insert(order, held);
        }
        let join = |(name, parts): (String, BTreeMap<usize, Held>)| {
            let held = parts.into_values().reduce(Held::and);
            held.map(|held| (name, held))
        };
        self.tensors = renamed.into_iter().filter_map(join).collect();
    }

    /// Reads a tensor, once; its values may not be finite.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub(super) fn take(&mut self, name: &str) -> Result<NamedTensor, String> {
        let Held { names, shape } = self.tensors.remove(name).ok_or("is missing")?;
        let mut values = Vec::new();
        for name in names {
            let part = match &mut self.container {
                Container::Torch(file, tensors) => file.read(&tensors[&name])?,
                Container::Safetensors(file) => {
                    file.read_any(&name).map_err(|error| error.to_string())?
                }
            };
            match values.is_empty() {
                true => values = part.values,
                false => values.extend(part.values),
            }
        }
        Ok(NamedTensor { shape, values })
    }
}

impl Held {
    fn alone(name: &str, shape: Vec<usize>) -> Self {
        Self {
            names: vec![name.to_owned()],
            shape,
        }
    }

    /// The rows of both; where they are not of one width, the shape is one that no model has.
    fn and(mut self, other: Self) -> Self {
        match (&mut self.shape[..], &other.shape[..]) {
            ([rows, width @ ..], [more, other @ ..]) if width == other => {
                *rows = rows.saturating_add(*more);
            }
            _ => self.shape.clear(),
        }
        self.names.extend(other.names);
        self
    }
}

/// The header that an export of this program put into a file.
fn our_header(text: &str, path: &Path) -> Result<ModelFile> {
    serde_json::from_str(text).map_err(|source| {
        Error::input(format!(
            "its `{HEADER_KEY}` is damaged: {source}; export the model again"
        ))
        .caused_by(source)
        .in_file(path)
    })
}

/// Refuses what would flood or steer the terminal that it is shown on.
fn check_name(name: &str) -> Result<(), String> {
    match name.len() <= LONGEST_NAME && !name.contains(char::is_control) {
        true => Ok(()),
        false => Err(format!(
            "{:?}, of {} bytes, is no name of a tensor",
            name.chars().take(40).collect::<String>(),
            name.len()
        )),
    }
}

/// The name relative to the dictionary that the released code loads, without wrappers: files made from a part of a
/// checkpoint have more or less in front.
fn canonical(name: &str) -> String {
    let parts = name.split('.').filter(|part| !WRAPPERS.contains(part));
    let parts: Vec<&str> = parts.skip_while(|part| STATE_KEYS.contains(part)).collect();
    let name = parts.join(".");
    let bare = [
        "cls_token",
        "pos_embed",
        "mask_token",
        "patch_embed.",
        "norm.",
    ];
    let is_bare = bare.iter().any(|start| name.starts_with(start))
        || (name.starts_with("blocks.") && !name.contains("layernorm") && is_vit_block(&name));
    match is_bare {
        true => format!("backbone.{name}"),
        false => name,
    }
}

/// Whether a block's tensor is of an image transformer, not of a spectrum transformer.
fn is_vit_block(name: &str) -> bool {
    [".norm1.", ".norm2.", ".attn.", ".ls1.", ".ls2.", ".mlp.fc"]
        .iter()
        .any(|part| name.contains(part))
}

impl Facts {
    fn of(pickle: &Pickle) -> Self {
        let root = pickle.root();
        let count = |path: &str| pickle.count(find(pickle, root, path)?);
        let spectrum = |key: &str| {
            count(&format!("hyper_parameters.{key}")).or_else(|| {
                count(&format!(
                    "hyper_parameters.spectrum_encoder.backbone._hparams.{key}"
                ))
            })
        };
        let block = "hyper_parameters.spectrum_encoder.backbone.blocks.0.attention.num_heads";
        let head = "hyper_parameters.image_encoder.cross_attention";
        Self {
            step: STEP_KEYS.into_iter().find_map(count),
            image_heads: count("hyper_parameters.image_encoder.backbone.num_heads"),
            spectrum_heads: spectrum("num_heads").or_else(|| count(block)),
            embedding_heads: count(&format!("{head}.multihead_attn.num_heads")),
            head_dropout: find(pickle, root, &format!("{head}.dropout.p"))
                .and_then(|id| pickle.number(id))
                .filter(|rate| (0.0..1.0).contains(rate)),
            section_length: spectrum("slice_section_length"),
            overlap: spectrum("slice_overlap"),
        }
    }
}

/// The value at a dotted path through dictionaries, objects and the submodules of PyTorch modules.
fn find(pickle: &Pickle, root: Id, path: &str) -> Option<Id> {
    path.split('.')
        .try_fold(root, |id, key| child(pickle, id, key, MOST_WRAPPERS))
}

/// What is called `key` in a value, its submodules, or what `wrappers` wrappers hold.
fn child(pickle: &Pickle, id: Id, key: &str, wrappers: usize) -> Option<Id> {
    pickle.get(id, key).or_else(|| {
        let modules = pickle.get(id, "_modules")?;
        let wrapped = |wrapper: &&str| {
            let inner = pickle.get(modules, wrapper).filter(|_| wrappers > 0)?;
            child(pickle, inner, key, wrappers - 1)
        };
        pickle
            .get(modules, key)
            .or_else(|| WRAPPERS.iter().find_map(wrapped))
    })
}
