//! Labels and identifiers from tables.

use super::*;
use crate::base::error::Result;

/// The labels of these files.
fn read_labels(paths: &[PathBuf], options: &LabelOptions) -> Result<Labels> {
    let open = |path| Table::open_one(path, options.table.as_deref());
    let tables = paths
        .iter()
        .map(|path| open(path))
        .collect::<Result<Vec<_>>>()?;
    labels_of(paths, &tables, options)
}

#[test]
fn labels_gather_tables_by_id_and_position() {
    let folder = folder();
    let ids = csv(
        folder.path(),
        "ids.csv",
        "TARGETID,target_ra,target_dec,Z\n3,10,20,0.1\n4,30,40,\n3,10,20,0.9\n",
    );
    let more = csv(
        folder.path(),
        "more.csv",
        "object_id,Z,LOG_MSTAR\n4,0.2,11\n-1,0.7,9\n8,0.3,12\n",
    );
    let votes = csv(
        folder.path(),
        "votes.csv",
        "ra,dec,smooth_fraction\n30,40.0001,0.7\n99,9,0.1\n",
    );
    let labels = read_labels(
        &[votes.clone(), ids.clone(), more],
        &LabelOptions::default(),
    )
    .unwrap();
    assert_eq!(labels.object_id, [3, 4, 8]);
    let column = |name: &str| format!("{:?}", labels.columns[name]);
    assert_eq!(column("Z"), "[0.1, 0.2, 0.3]");
    assert_eq!(column("LOG_MSTAR"), "[NaN, 11.0, 12.0]");
    assert_eq!(column("smooth_fraction"), "[NaN, 0.7, NaN]");
    let message = read_labels(&[votes], &LabelOptions::default())
        .unwrap_err()
        .to_string();
    assert!(message.contains("astroclip match"), "{message}");
    let by_nsa = LabelOptions {
        id_column: Some("nsa_id".to_owned()),
        ..LabelOptions::default()
    };
    let message = read_labels(&[ids], &by_nsa).unwrap_err().to_string();
    assert!(message.contains("nsa_id"), "{message}");
}

#[test]
fn identifiers_come_as_a_list_or_in_a_table_and_splits_become_numbers() {
    let folder = folder();
    let file = |name: &str, text: &str| csv(folder.path(), name, text);
    let plain = file("plain.txt", "# held out\n39627000000000001\n\n -5 \n");
    assert_eq!(read_ids(&plain, None).unwrap(), [ID, -5]);
    let marked = file("marked.txt", "\u{feff}7\n8\n");
    assert_eq!(read_ids(&marked, None).unwrap(), [7, 8]);
    let latin = folder.path().join("latin.txt");
    fs::write(&latin, b"A\xe9\nA\xe8\n").unwrap();
    let names = read_ids(&latin, None).unwrap();
    assert_eq!(
        names.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["Aé", "Aè"]
    );
    let headed = file("headed.txt", "targetid\n7\n8\n");
    assert_eq!(read_ids(&headed, None).unwrap(), [7, 8]);
    let table = file("table.csv", "z,object_id,other\n0.1,7,70\n0.2,8,80\n");
    assert_eq!(read_ids(&table, None).unwrap(), [7, 8]);
    assert_eq!(read_ids(&table, Some("other")).unwrap(), [70, 80]);
    let wrong = file("wrong.txt", "7\nNGC 1\n");
    let message = read_ids(&wrong, None).unwrap_err().to_string();
    assert!(message.contains("entry 1 is `NGC 1`"), "{message}");
    let empty = file("empty.txt", "targetid\n");
    assert!(read_ids(&empty, None).is_err());

    let predictions = file(
        "predictions.csv",
        "object_id,split,redshift\n7,train,0.1\n8,test,0.2\n9,,0.3\n5,validation,0.4\n",
    );
    let labels = read_labels(&[predictions], &LabelOptions::default()).unwrap();
    assert_eq!(
        format!("{:?}", labels.columns["split"]),
        "[0.0, 1.0, NaN, 2.0]"
    );
}

#[test]
fn quantities_are_told_table_by_table_and_by_the_column_that_is_named() {
    let folder = folder();
    // Its `z` is a magnitude, that of the other a redshift.
    let magnitudes = csv(
        folder.path(),
        "sdss.csv",
        "#Table1\nobjid,g,r,z,zphot\n1,18,17.5,17,0.11\n2,19,18.5,18,0.21\n3,19,18.5,18,\n",
    );
    let redshifts = csv(
        folder.path(),
        "spectra.csv",
        "objid,z,mass\n1,0.1,3e10\n2,-99,1e9\n4,0.4,1e10\n",
    );
    let tables = [magnitudes, redshifts];
    let read = |columns: &[(Target, &str)]| {
        let named = columns
            .iter()
            .map(|(target, name)| (*target, (*name).to_owned()));
        let options = LabelOptions {
            columns: named.collect(),
            ..LabelOptions::default()
        };
        read_labels(&tables, &options)
    };
    let known = |labels: &Labels, target| format!("{:?}", labels.known(target));
    let labels = read(&[]).unwrap();
    assert_eq!(labels.object_id, [1, 2, 3, 4]);
    assert_eq!(
        known(&labels, Target::Redshift),
        "Some([0.1, NaN, NaN, 0.4])"
    );
    assert_eq!(labels.known(Target::StellarMass), None);
    let taken = &labels.quantities[&Target::Redshift].taken;
    assert_eq!(taken.len(), 1);
    let words = taken[0].in_words();
    assert!(
        words.ends_with("spectra.csv; 1 of 3 unknown (-99: 1)"),
        "{words}"
    );
    let labels = read(&[(Target::Redshift, "zphot"), (Target::StellarMass, "mass")]).unwrap();
    assert_eq!(
        known(&labels, Target::Redshift),
        "Some([0.11, 0.21, NaN, NaN])"
    );
    assert_eq!(labels.known(Target::StellarMass).unwrap()[3], 10.0);
    let message = read(&[(Target::Age, "old")]).unwrap_err().to_string();
    assert!(message.contains("no column `old`"), "{message}");

    // With the magnitudes alone the reason is kept for those who ask for redshifts.
    let labels = read_labels(&tables[..1], &LabelOptions::default()).unwrap();
    let why = labels.refusal(Target::Redshift).unwrap().to_string();
    assert!(
        why.contains("sdss.csv: column `z`") && why.contains("--redshift-column"),
        "{why}"
    );
}
