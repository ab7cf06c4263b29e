//! Shards of an embedding: several files that are read as one.

use std::path::{Path, PathBuf};

use super::{Provenance, read_provenance};
use crate::base::error::{Error, Result};
use crate::base::output::unfinished_of;
use crate::base::shard::Shard;
use crate::base::shell::quoted;
use crate::files::inputs::InputFiles;

/// Shards that a message names; more are counted.
const NAMED: usize = 4;

/// Which part of an embedding a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The part.
    pub shard: Shard,
    /// What all shards of one embedding have in common: SHA-256 of how it is made, hexadecimal.
    pub embedding: String,
}

/// Embedding files that are read as one, one behind the other: shards in the order of the survey.
#[derive(Debug, Clone)]
pub struct EmbeddingSet {
    files: Vec<PathBuf>,
    /// Which shard each file is; none for files that are no shards.
    shards: Vec<Shard>,
    embedding: Option<String>,
}

impl EmbeddingSet {
    /// A file by itself, whatever it is.
    pub fn of(file: PathBuf) -> Self {
        Self {
            files: vec![file],
            shards: Vec::new(),
            embedding: None,
        }
    }

    /// Files as sets, in the order of their first files: shards of one embedding belong together, any other file is by
    /// itself. Nothing is read but who a file is.
    pub fn grouped(files: Vec<PathBuf>) -> Vec<Self> {
        let mut sets: Vec<Self> = Vec::new();
        for file in files {
            let part = read_provenance(&file).and_then(|provenance| provenance.part);
            let Some(Part { shard, embedding }) = part else {
                sets.push(Self::of(file));
                continue;
            };
            let known = sets.iter_mut().find(|set| {
                let of = set.shards.first().map(|first| first.of());
                of == Some(shard.of()) && set.embedding.as_ref() == Some(&embedding)
            });
            match known {
                None => sets.push(Self {
                    files: vec![file],
                    shards: vec![shard],
                    embedding: Some(embedding),
                }),
                Some(set) => {
                    let place =
                        (set.shards).partition_point(|other| other.number() <= shard.number());
                    set.shards.insert(place, shard);
                    set.files.insert(place, file);
                }
            }
        }
        sets
    }

    /// Files as one set; shards must be those of one embedding, and all of them unless `some` are meant.
    ///
    /// # Errors
    /// [`Error::input`] where shards are of several embeddings, and as [`checked`](Self::checked).
    pub fn one(files: Vec<PathBuf>, some: bool) -> Result<Self> {
        let sets = Self::grouped(files);
        let mut sharded = sets.iter().filter(|set| set.is_sharded());
        if let (Some(first), Some(other)) = (sharded.next(), sharded.next()) {
            return Err(other.is_foreign_to(first));
        }
        let sets: Vec<Self> = (sets.into_iter())
            .map(|set| set.checked(some))
            .collect::<Result<_>>()?;
        let joined = sets.into_iter().reduce(|all, set| Self {
            files: [all.files, set.files].concat(),
            shards: Vec::new(),
            embedding: None,
        });
        joined.ok_or_else(|| Error::input("no embedding file given; name at least one"))
    }

    /// The same, where no shard is there twice and, unless `some` are meant, none is missing.
    ///
    /// # Errors
    /// [`Error::input`] names the shards that are missing, and how to go on with those that are half done.
    pub fn checked(self, some: bool) -> Result<Self> {
        let twice = self.shards.windows(2).position(|pair| pair[0] == pair[1]);
        if let Some(place) = twice {
            return Err(Error::input(format!(
                "shard {} is given twice, here and as {}; name it once",
                self.shards[place].label(),
                self.files[place].display()
            ))
            .in_file(&self.files[place + 1]));
        }
        match some {
            true => Ok(self),
            false => self.complete(),
        }
    }

    fn complete(self) -> Result<Self> {
        let Some(first) = self.shards.first() else {
            return Ok(self);
        };
        let all = (1..=first.of()).filter_map(|number| Shard::new(number, first.of()));
        let known = |shard: &Shard| {
            let shards = &self.shards;
            shards.binary_search_by_key(&shard.number(), |known| known.number())
        };
        let others: Vec<Shard> = all.filter(|shard| known(shard).is_err()).collect();
        if others.is_empty() {
            return Ok(self);
        }
        let whole = self.whole();
        let is_there = |shard: &Shard| shard.file(&whole).exists();
        let (unnamed, missing): (Vec<Shard>, Vec<Shard>) = others.into_iter().partition(is_there);
        let mut said = Vec::new();
        if !missing.is_empty() {
            let folder = whole
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.map_or("the current folder".to_owned(), |folder| {
                folder.display().to_string()
            });
            said.push(format!("{} missing in {folder}", are(&missing)));
        }
        if !unnamed.is_empty() {
            said.push(format!("{} there but not named", are(&unnamed)));
        }
        let mut message = format!(
            "{} is {} shards; {}",
            name(&whole),
            first.of(),
            said.join(", ")
        );
        let half =
            |shard: &&Shard| unfinished_of(&shard.file(&whole)).is_ok_and(|begun| begun.exists());
        let provenance = read_provenance(&self.files[0]);
        for shard in missing.iter().filter(half).take(NAMED) {
            message += &format!(
                "\n{} is half done; the options of the others go on with it: {}",
                shard.label(),
                self.command(provenance.as_ref(), *shard, &whole)
            );
        }
        Err(Error::input(
            message + "\n--some-shards goes on without them",
        ))
    }

    /// The command that makes a shard, as far as the others say it.
    fn command(&self, provenance: Option<&Provenance>, shard: Shard, whole: &Path) -> String {
        let home = whole.parent().unwrap_or(Path::new(""));
        let inputs = provenance.and_then(|provenance| provenance.inputs.as_ref());
        let option = |name: &str, files: &[InputFiles]| -> String {
            let places = files.iter().map(|files| files.place(home));
            let words: String = places
                .map(|place| format!(" {}", quoted(&place.display().to_string())))
                .collect();
            match words.is_empty() {
                true => words,
                false => format!(" {name}{words}"),
            }
        };
        format!(
            "astroclip embed{}{} --out {} --shard {shard} --resume",
            inputs.map_or(String::new(), |inputs| option("--weights", &inputs.models)),
            inputs.map_or(String::new(), |inputs| option("--data", &inputs.data)),
            quoted(&whole.display().to_string()),
        )
    }

    fn is_foreign_to(&self, other: &Self) -> Error {
        let [own, others] = [self, other].map(|set| read_provenance(&set.files[0]));
        let other_file = other.files[0].display();
        let inputs = |of: &Option<Provenance>| of.as_ref().and_then(|of| of.inputs.clone());
        let what = match (&own, &others) {
            _ if self.embedding == other.embedding => format!(
                "is one of {} shards, and {other_file} one of {}",
                self.shards[0].of(),
                other.shards[0].of()
            ),
            (Some(own), Some(others)) if own.model_sha256 != others.model_sha256 => {
                format!("is a shard of another model's embeddings than {other_file}")
            }
            _ if inputs(&own)
                .zip(inputs(&others))
                .is_some_and(|(a, b)| !a.same_files(&b)) =>
            {
                format!("is a shard of another survey than {other_file}")
            }
            _ => format!(
                "was made by other options than {other_file} (--precision, --raw, --features, options of reading)"
            ),
        };
        Error::input(format!("{what}; name shards of one embedding")).in_file(&self.files[0])
    }

    /// The files, in order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Whether the files are shards.
    pub fn is_sharded(&self) -> bool {
        !self.shards.is_empty()
    }

    /// What to call the set: the file where it is one, the pattern of shards, else the first file.
    pub fn path(&self) -> PathBuf {
        match &self.files[..] {
            [one] => one.clone(),
            _ => self.pattern(),
        }
    }

    /// What names all shards of the embedding, `emb-*-of-8.h5`; of files that are no shards the first.
    pub fn pattern(&self) -> PathBuf {
        let file = &self.files[0];
        let Some(shard) = self
            .shards
            .first()
            .filter(|shard| shard.file_of_whole(file).is_some())
        else {
            return file.clone();
        };
        let any = format!("*-of-{}", shard.of());
        file.with_file_name(name(file).replace(&shard.label(), &any))
    }

    /// The file that one of all shards would be; of renamed shards the first.
    pub fn whole(&self) -> PathBuf {
        let first = &self.files[0];
        let whole = self
            .shards
            .first()
            .and_then(|shard| shard.file_of_whole(first));
        whole.unwrap_or_else(|| first.clone())
    }
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// "5-of-8 and 7-of-8 are".
fn are(shards: &[Shard]) -> String {
    let names: Vec<String> = shards
        .iter()
        .take(NAMED)
        .map(|shard| shard.label())
        .collect();
    match (shards.len().saturating_sub(NAMED), &names[..]) {
        (0, [one]) => format!("{one} is"),
        (0, [others @ .., last]) => format!("{} and {last} are", others.join(", ")),
        (more, _) => format!("{} and {more} more are", names.join(", ")),
    }
}
