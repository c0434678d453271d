package docker

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// process names the process that holds a port of this machine, as far as Linux tells.
func process(protocol string, number uint16) string {
	for _, table := range []string{protocol, protocol + "6"} {
		inode := socketInode(filepath.Join("/proc/net", table), protocol, number)
		if inode == "" {
			continue
		}
		if pid := socketOwner(inode); pid != "" {
			name, _ := os.ReadFile(filepath.Join("/proc", pid, "comm")) // it may have ended
			return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), pid)
		}
	}
	return "another process"
}

// tcpListening is the kernel's word for the state of a TCP socket that listens.
const tcpListening = "0A"

// socketInode finds the socket of a local port in one of the kernel's tables; see
// proc_pid_net(5) for its columns.
func socketInode(table, protocol string, number uint16) string {
	f, err := os.Open(table)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		columns := strings.Fields(lines.Text())
		if len(columns) < 10 || (protocol == "tcp" && columns[3] != tcpListening) {
			continue
		}
		_, port, _ := strings.Cut(columns[1], ":")
		if n, err := strconv.ParseUint(port, 16, 16); err == nil && uint16(n) == number {
			return columns[9]
		}
	}
	return ""
}

// socketOwner finds the process that has a socket open. Those of other users are seen by
// root only.
func socketOwner(inode string) string {
	open, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, fd := range open {
		if target, err := os.Readlink(fd); err == nil && target == "socket:["+inode+"]" {
			return strings.Split(fd, "/")[2]
		}
	}
	return ""
}
