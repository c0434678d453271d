// Package metastore asks a Hive Metastore which tables it knows and where they are.
//
//	Tables ──▶ get_all_databases ──▶ get_all_tables ──▶ get_table_objects_by_name_req ──▶ proof.Entry
//
// It speaks Thrift's binary protocol, as a metastore does that has neither TLS nor Kerberos, and
// knows of Hive's types only the fields that it needs: all others are skipped by their types.
// What the server sends is believed in nothing: every length is bounded before memory is taken
// for it, and every call has a time in which it must be answered.
//
// It calls nothing that changes a metastore.
package metastore
