// Command sleeper is what test containers run. It waits for a signal to end; what else
// it does is said by its arguments and environment.
//
//	sleeper              run
//	sleeper health       exit with 0 if it is ready
//	sleeper health 1m    the same, and once it was told exit only so much later, or when it is not ready any more
//	sleeper exit N       exit with N at once
//	sleeper holds F TEXT exit with 0 if file F has TEXT in it
//	sleeper cat FILE...  print each file with its mode and owner, then run
//
//	PRINT=TEXT           print TEXT first
//	READY_AFTER=2s       be ready only then ("never" is never)
//	EXIT_AFTER=1s        exit with EXIT_CODE then
//	SICK_AFTER=3s        not be ready any more then
//	HUNGRY_AFTER=3s      take all the memory there is then
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Files in memory, so that a read-only root does not matter: there when it is ready, and when that was told.
const ready, told = "/dev/shm/ready", "/dev/shm/told"

func main() {
	if text := os.Getenv("PRINT"); text != "" {
		fmt.Println(text)
	}
	if len(os.Args) > 1 {
		obey(os.Args[1], os.Args[2:])
	}
	run()
}

func obey(command string, args []string) {
	switch command {
	case "health":
		health(args)
	case "exit":
		code, _ := strconv.Atoi(args[0])
		os.Exit(code)
	case "holds":
		if content, err := os.ReadFile(args[0]); err != nil || !strings.Contains(string(content), args[1]) {
			fmt.Printf("no %s in %s\n", args[1], args[0])
			os.Exit(1)
		}
		os.Exit(0)
	case "cat":
		for _, file := range args {
			show(file)
		}
	}
}

func health(args []string) {
	if len(args) > 0 && is(told) {
		lasts, _ := time.ParseDuration(args[0])
		for end := time.Now().Add(lasts); is(ready) && time.Now().Before(end); {
			time.Sleep(time.Second)
		}
	}
	if !is(ready) {
		fmt.Println("not ready yet")
		os.Exit(1)
	}
	os.WriteFile(told, nil, 0o644)
	os.Exit(0)
}

func is(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func show(file string) {
	info, err := os.Stat(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	content, err := os.ReadFile(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	owner := info.Sys().(*syscall.Stat_t)
	fmt.Printf("%s %v %d:%d %s\n", file, info.Mode(), owner.Uid, owner.Gid, content)
}

func run() {
	os.Remove(ready)
	os.Remove(told)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	if text := os.Getenv("READY_AFTER"); text != "never" {
		delay, _ := time.ParseDuration(text)
		time.AfterFunc(delay, func() { os.WriteFile(ready, nil, 0o644) })
	}
	if delay, err := time.ParseDuration(os.Getenv("EXIT_AFTER")); err == nil {
		time.AfterFunc(delay, func() {
			code, _ := strconv.Atoi(os.Getenv("EXIT_CODE"))
			os.Exit(code)
		})
	}
	if delay, err := time.ParseDuration(os.Getenv("SICK_AFTER")); err == nil {
		time.AfterFunc(delay, func() { os.Remove(ready) })
	}
	if delay, err := time.ParseDuration(os.Getenv("HUNGRY_AFTER")); err == nil {
		time.AfterFunc(delay, eat)
	}
	<-stop
}

// eat takes all the memory there is.
func eat() {
	for eaten := [][]byte{}; ; {
		bite := make([]byte, 1<<20)
		for i := range bite {
			bite[i] = 1
		}
		eaten = append(eaten, bite)
	}
}
