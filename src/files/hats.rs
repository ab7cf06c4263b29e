//! Folders of the Hierarchical Adaptive Tiling Scheme (HATS): a catalogue as Parquet files, one per HEALPix pixel, beside
//! files that are no data; or a collection of a catalogue with the margins of its pixels, copies of its rows.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use crate::base::error::{Error, Result};
use crate::base::input;

/// A catalogue in a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalog {
    /// Its name, where the folder tells.
    pub name: Option<String>,
    /// The Parquet files, by order and number of their pixels.
    pub partitions: Vec<PathBuf>,
    /// Rows that all of its files have, where the folder tells.
    pub rows: Option<u64>,
    /// Pixels that belong to it and are not there: such as are not downloaded.
    pub missing: usize,
}

/// What a folder is called that holds the rows of a pixel's surroundings, or an index, and no galaxies of its own.
const NO_DATA: [&str; 4] = ["margin", "index", "association", "map"];

impl Catalog {
    /// The catalogue in a folder: that of a collection, of a catalogue, or of its folder `dataset`; `None` where the
    /// folder is none of these.
    ///
    /// # Errors
    /// Where the folder cannot be read, lacks what it speaks of, or holds only copies of another's rows.
    pub fn of(folder: &Path) -> Result<Option<Self>> {
        let Some(collection) = Properties::read(folder, &["collection.properties"])? else {
            return Self::of_catalog(folder);
        };
        let name = collection.get("hats_primary_table_url").unwrap_or_default();
        let catalog = match name.is_empty() {
            true => None,
            false => Self::of_catalog(&folder.join(name))?,
        };
        match catalog {
            Some(catalog) => Ok(Some(catalog)),
            None => Err(Error::input(format!(
                "is a HATS collection whose catalogue `{name}` is not there; fetch it as well"
            ))
            .in_file(folder)),
        }
    }

    /// That of a catalogue, or of its folder `dataset`.
    fn of_catalog(folder: &Path) -> Result<Option<Self>> {
        let error = |message: String| Error::input(message).in_file(folder);
        let properties = Properties::read(folder, &["hats.properties", "properties"])?;
        let properties = properties.filter(|known| known.get("hats_nrows").is_some());
        let Some(properties) = properties else {
            return Self::without_properties(folder);
        };
        let kind = properties.get("dataproduct_type").unwrap_or("object");
        if NO_DATA.contains(&kind) {
            let of = properties.get("hats_primary_table_url").unwrap_or_default();
            return Err(error(format!(
                "is a HATS {kind} catalogue, which holds no galaxies of its own; give the folder of the catalogue \
                 itself ({of})"
            )));
        }
        let partitions = partitions(&folder.join("dataset"))?;
        if partitions.is_empty() {
            return Err(error(
                "is a HATS catalogue without a single file dataset/Norder=*/Dir=*/Npix=*.parquet; fetch them as well"
                    .to_owned(),
            ));
        }
        let listed = listed_pixels(&folder.join("partition_info.csv"));
        let known: HashSet<(u64, u64)> = partitions.iter().map(|(pixel, _)| *pixel).collect();
        Ok(Some(Self {
            name: properties.get("obs_collection").map(str::to_owned),
            rows: properties
                .get("hats_nrows")
                .and_then(|rows| rows.parse().ok()),
            missing: listed.iter().filter(|pixel| !known.contains(pixel)).count(),
            partitions: partitions.into_iter().map(|(_, path)| path).collect(),
        }))
    }

    /// As [`Catalog::of`], or the one catalogue that lies in a folder of this folder.
    ///
    /// # Errors
    /// As [`Catalog::of`].
    pub fn find(folder: &Path) -> Result<Option<Self>> {
        if let Some(catalog) = Self::of(folder)? {
            return Ok(Some(catalog));
        }
        let within = entries(folder)?.into_iter();
        let mut within = within.filter_map(|(_, path)| match path.is_dir() {
            true => Self::of(&path).ok().flatten(),
            false => None,
        });
        Ok(within.next().filter(|_| within.next().is_none()))
    }

    /// A folder of pixels, alone or as `dataset`, that says nothing of itself.
    fn without_properties(folder: &Path) -> Result<Option<Self>> {
        // Below a catalogue's folder lies its own.
        if folder.file_name().is_some_and(|name| name == "dataset")
            && let Some(parent) = folder.parent()
            && parent.join("hats.properties").is_file()
        {
            return Self::of_catalog(parent);
        }
        let mut found = partitions(folder)?;
        if found.is_empty() && folder.join("dataset").is_dir() {
            found = partitions(&folder.join("dataset"))?;
        }
        Ok((!found.is_empty()).then(|| Self {
            name: None,
            partitions: found.into_iter().map(|(_, path)| path).collect(),
            rows: None,
            missing: 0,
        }))
    }

    /// Says, where files are missing, how many.
    pub fn incomplete(&self) -> Option<String> {
        (self.missing > 0).then(|| {
            format!(
                "{} of the catalogue's {} partitions are not here; only the galaxies of the others are read",
                self.missing,
                self.partitions.len() + self.missing
            )
        })
    }
}

/// For people.
impl fmt::Display for Catalog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_ref().map(|name| format!(" {name}"));
        write!(
            formatter,
            "HATS catalogue{}, {} partitions",
            name.unwrap_or_default(),
            self.partitions.len()
        )?;
        if let Some(rows) = self.rows {
            write!(formatter, ", {rows} rows by its properties")?;
        }
        match self.missing {
            0 => Ok(()),
            missing => write!(formatter, "; {missing} partitions are not here"),
        }
    }
}

/// Lines `key=value`.
struct Properties(Vec<(String, String)>);

impl Properties {
    /// Of the first of these files that is there.
    fn read(folder: &Path, names: &[&str]) -> Result<Option<Self>> {
        let mut paths = names.iter().map(|name| folder.join(name));
        let Some(path) = paths.find(|path| path.is_file()) else {
            return Ok(None);
        };
        let text = input::text(&path)?;
        let lines = text.lines().map(str::trim);
        let pairs = lines.filter(|line| !line.starts_with(['#', '!']));
        let pairs = pairs.filter_map(|line| {
            let (key, value) = line.split_once(['=', ':'])?;
            Some((key.trim().to_owned(), value.trim().to_owned()))
        });
        Ok(Some(Self(pairs.collect())))
    }

    fn get(&self, key: &str) -> Option<&str> {
        let pair = self.0.iter().find(|(known, _)| known == key)?;
        Some(pair.1.as_str())
    }
}

/// A name such as `Norder=5` or `Npix=1234.parquet`.
fn number_in(name: &str, key: &str) -> Option<u64> {
    let number = name.strip_prefix(key)?.strip_prefix('=')?;
    number
        .strip_suffix(".parquet")
        .unwrap_or(number)
        .parse()
        .ok()
}

/// What lies in a folder; nothing where there is none.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let reading = |source| Error::reading(folder, source);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(reading)? {
        let entry = entry.map_err(reading)?;
        found.push((
            entry.file_name().to_string_lossy().into_owned(),
            entry.path(),
        ));
    }
    found.sort();
    Ok(found)
}

/// The files `Norder=k/Dir=d/Npix=n.parquet`, or those in folders `Npix=n`, in the order of pixels.
fn partitions(dataset: &Path) -> Result<Vec<((u64, u64), PathBuf)>> {
    let mut found = Vec::new();
    for (name, order_folder) in entries(dataset)? {
        let Some(order) = number_in(&name, "Norder") else {
            continue;
        };
        for (name, folder) in entries(&order_folder)? {
            if number_in(&name, "Dir").is_none() {
                continue;
            }
            for (name, path) in entries(&folder)? {
                let Some(pixel) = number_in(&name, "Npix") else {
                    continue;
                };
                match path.is_dir() {
                    false => found.push(((order, pixel), path)),
                    true => {
                        let parts = entries(&path)?.into_iter();
                        let parts = parts.filter(|(name, _)| name.ends_with(".parquet"));
                        found.extend(parts.map(|(_, path)| ((order, pixel), path)));
                    }
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Orders and numbers of the pixels in a table of partitions; none where there is no such table.
fn listed_pixels(path: &Path) -> Vec<(u64, u64)> {
    let Ok(text) = fs::read_to_string(path) else {
        return Vec::new();
    };
    let mut lines = text.lines();
    let header: Vec<&str> = lines
        .next()
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .collect();
    let place = |name: &str| header.iter().position(|known| *known == name);
    let (Some(order), Some(pixel)) = (place("Norder"), place("Npix")) else {
        return Vec::new();
    };
    let pixels = lines.filter_map(|line| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        Some((
            fields.get(order)?.parse().ok()?,
            fields.get(pixel)?.parse().ok()?,
        ))
    });
    pixels.collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::Catalog;

    /// An empty file with the folders that it lies in.
    fn touch(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_collection_stands_for_its_catalogue_without_margins_and_maps() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let main = root.join("stars");
        touch(
            &root.join("collection.properties"),
            "#HATS\nhats_primary_table_url=stars\nall_margins=stars_10arcs\n",
        );
        touch(
            &main.join("hats.properties"),
            "obs_collection=stars\ndataproduct_type=object\nhats_nrows=70\n",
        );
        touch(
            &main.join("partition_info.csv"),
            "Norder,Npix\n1,44\n1,101\n2,9\n2,10\n",
        );
        touch(&main.join("skymap.fits"), "");
        for name in ["data_thumbnail.parquet", "_metadata"] {
            touch(&main.join("dataset").join(name), "");
        }
        let pixels = [
            "Norder=2/Dir=0/Npix=9.parquet",
            "Norder=1/Dir=0/Npix=101.parquet",
            "Norder=1/Dir=0/Npix=44.parquet",
        ];
        for pixel in pixels {
            touch(&main.join("dataset").join(pixel), "");
            touch(&root.join("stars_10arcs/dataset").join(pixel), "");
        }
        touch(
            &root.join("stars_10arcs/hats.properties"),
            "dataproduct_type=margin\nhats_nrows=7\nhats_primary_table_url=stars\n",
        );
        let catalog = Catalog::of(root).unwrap().unwrap();
        let wanted =
            [pixels[2], pixels[1], pixels[0]].map(|pixel| main.join("dataset").join(pixel));
        assert_eq!(catalog.partitions, wanted);
        assert_eq!((catalog.rows, catalog.missing), (Some(70), 1));
        assert!(
            catalog
                .incomplete()
                .unwrap()
                .starts_with("1 of the catalogue's 4 partitions")
        );
        assert_eq!(Catalog::of(&main).unwrap().as_ref(), Some(&catalog));
        assert_eq!(Catalog::of(&main.join("dataset")).unwrap(), Some(catalog));
        let margin = Catalog::of(&root.join("stars_10arcs"))
            .unwrap_err()
            .to_string();
        assert!(
            margin.contains("margin catalogue") && margin.contains("(stars)"),
            "{margin}"
        );
        assert_eq!(Catalog::of(&main.join("dataset/Norder=1")).unwrap(), None);
        fs::remove_file(root.join("collection.properties")).unwrap();
        assert_eq!(Catalog::of(root).unwrap(), None);
        assert_eq!(Catalog::find(root).unwrap().unwrap().partitions, wanted);
    }

    #[test]
    fn pixels_in_folders_need_no_properties() {
        let folder = tempfile::tempdir().unwrap();
        for part in [
            "Norder=0/Dir=0/Npix=3/b.parquet",
            "Norder=0/Dir=0/Npix=3/a.parquet",
        ] {
            touch(&folder.path().join(part), "");
        }
        let catalog = Catalog::of(folder.path()).unwrap().unwrap();
        assert_eq!(catalog.partitions.len(), 2);
        assert!(catalog.partitions[0].ends_with("a.parquet"));
    }

    #[test]
    fn a_collection_that_names_itself_has_no_catalogue() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let refusal = |name: &str| {
            let text = format!("hats_primary_table_url={name}\n");
            touch(&root.join("collection.properties"), &text);
            Catalog::of(root).unwrap_err().to_string()
        };
        assert!(refusal(".").contains("catalogue `.` is not there"));
        touch(&root.join("hats.properties"), "hats_nrows=1\n");
        fs::create_dir(root.join("dataset")).unwrap();
        assert!(refusal("dataset").contains("without a single file"));
    }
}
