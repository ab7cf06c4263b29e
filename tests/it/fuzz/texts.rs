//! Text that people write: tables, lists of identifiers, run files.

use astroclip::files::catalog::read_ids;
use astroclip::training::config::{ImageRun, load_run, load_survey};

use super::tables::read_table;
use super::{check, fuzz};

#[test]
fn tables_in_text() {
    let seeds = [
        "id,ra,dec,z\n1,10.5,-1.25,0.1\n2,10.75,1.5,0.2\n3,11,2,nan\n",
        "# a comment\nid\tname\tz\n1\t\"a\"\"b\"\t1e-3\n\n2\t\"c\td\"\t.5\n",
        "#  id    ra   z\n   12  1.0  0.3\n   13  2.0  0.4\n",
        "id;z\n1;0,5\n2;0,75\n",
    ];
    fuzz(
        "table.csv",
        &seeds.map(|seed| seed.as_bytes().to_vec()),
        read_table,
    );
}

#[test]
fn lists_of_identifiers() {
    let seeds = ["id\n39627788403084375\n2\n", "# two\nJ1234+56\nb'12'\n"];
    fuzz(
        "ids.txt",
        &seeds.map(|seed| seed.as_bytes().to_vec()),
        |path| {
            check(read_ids(path, None));
        },
    );
}

#[test]
fn run_files() {
    let seeds = [
        "base = \"tiny-vit\"\n[train]\nsteps = 10\nbatch_size = 4\n[model]\nwidth = 32\nheads = 2\n",
        "base = \"tiny-vit\"\n[survey]\nbands = [\"g\", \"r\", \"z\"]\npixel_scale = 0.262\n[data]\nfiles = [\"a.h5\"]\n",
    ];
    fuzz(
        "run.toml",
        &seeds.map(|seed| seed.as_bytes().to_vec()),
        |path| {
            let path = path.display().to_string();
            check(load_run::<ImageRun>(Some(&path), &[]));
            check(load_survey(Some(&path), &[]));
        },
    );
}
