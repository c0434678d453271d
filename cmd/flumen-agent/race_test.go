//go:build race

package main

// raced is whether this test, and the program that it is a copy of, are watched for races.
const raced = true
