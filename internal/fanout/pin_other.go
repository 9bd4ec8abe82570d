//go:build !linux

package main

import "errors"

func pin(int, int) error { return errors.New("-pin: only Linux keeps a process on a CPU") }
