//! Labels and identifiers from tables.

use super::*;

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
    let labels = read_labels(&[votes.clone(), ids.clone(), more], None).unwrap();
    assert_eq!(labels.object_id, [3, 4, 8]);
    let column = |name: &str| format!("{:?}", labels.columns[name]);
    assert_eq!(column("Z"), "[0.1, 0.2, 0.3]");
    assert_eq!(column("LOG_MSTAR"), "[NaN, 11.0, 12.0]");
    assert_eq!(column("smooth_fraction"), "[NaN, 0.7, NaN]");
    let message = read_labels(&[votes], None).unwrap_err().to_string();
    assert!(message.contains("astroclip match"), "{message}");
    let message = read_labels(&[ids], Some("nsa_id")).unwrap_err().to_string();
    assert!(message.contains("nsa_id"), "{message}");
}

#[test]
fn identifiers_come_as_a_list_or_in_a_table_and_splits_become_numbers() {
    let folder = folder();
    let file = |name: &str, text: &str| csv(folder.path(), name, text);
    let plain = file("plain.txt", "# held out\n39627000000000001\n\n -5 \n");
    assert_eq!(read_ids(&plain, None).unwrap(), [ID, -5]);
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
    let labels = read_labels(&[predictions], None).unwrap();
    assert_eq!(
        format!("{:?}", labels.columns["split"]),
        "[0.0, 1.0, NaN, 2.0]"
    );
}
