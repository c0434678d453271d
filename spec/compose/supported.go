package compose

import (
	"strconv"
	"strings"
	"sync"

	"github.com/compose-spec/compose-go/v2/schema"
)

// supported are the attributes of Compose that the agent acts on, and those that
// mean nothing to it by Compose's own word (inert). All others are refused by
// name, also those that Compose will have one day. "attribute{a,b}" stands for
// the attribute and two of its own; a trailing * for all there are.
var supported = []string{
	"version", "name",
	"include.[]{path,project_directory,env_file}",
	"networks.*{name,driver,driver_opts.*,internal,attachable,enable_ipv6,external.name,labels.*}",
	"networks.*.ipam{driver}",
	"networks.*.ipam.config.[]{subnet,gateway,ip_range}",
	"volumes.*{name,driver,driver_opts.*,external.name,labels.*}",
	"configs.*{name,file,content,environment,external.name}",
	"secrets.*{name,file,environment,external.name}",

	"services.*{image,platform,pull_policy,container_name,hostname,user,working_dir,profiles,scale,restart}",
	"services.*{command,entrypoint,environment.*,labels.*,label_file,tty,stdin_open,init,privileged,read_only}",
	"services.*{stop_signal,stop_grace_period,network_mode,pid,ipc,dns,dns_opt,dns_search,extra_hosts.*}",
	"services.*{cpus,mem_limit,memswap_limit,mem_reservation,pids_limit,shm_size,sysctls.*,tmpfs}",
	"services.*{cap_add,cap_drop,security_opt,group_add}",
	"services.*.build{context,dockerfile,dockerfile_inline,args.*,target,labels.*,network,no_cache}",
	"services.*.configs.[]{source,target,uid,gid,mode}",
	"services.*.secrets.[]{source,target,uid,gid,mode}",
	"services.*.depends_on.*{condition,required,restart}",
	"services.*.deploy{mode,replicas}",
	"services.*.deploy.resources.limits{cpus,memory,pids}",
	"services.*.deploy.resources.reservations{memory}",
	"services.*.devices.[]{source,target,permissions}",
	"services.*.env_file.[]{path,required,format}",
	"services.*.extends{file,service}",
	"services.*.healthcheck{test,interval,timeout,retries,start_period,start_interval,disable}",
	"services.*.logging{driver,options.*}",
	"services.*.networks.*{aliases,ipv4_address,ipv6_address,priority}",
	"services.*.ports.[]{target,published,host_ip,protocol,mode,name,app_protocol}",
	"services.*.ulimits.*{soft,hard}",
	"services.*.volumes.[]{type,source,target,read_only,consistency}",
	"services.*.volumes.[].bind{create_host_path,propagation,selinux}",
	"services.*.volumes.[].volume{nocopy,subpath}",
	"services.*.volumes.[].tmpfs{size,mode}",

	// Inert: for Compose's own commands, or a note to people.
	"services.*{expose,attach,develop}",
}

// composeShape is what Compose's schema knows, marked with what we support.
var composeShape = sync.OnceValue(func() *shape {
	root := &shape{supported: true}
	for _, path := range schema.AttributePaths() {
		p := string(path)
		if !strings.HasPrefix(p, "services.*.develop.") {
			root.add(p, false)
		}
	}
	for _, group := range supported {
		root.support(group)
	}
	root.add("services.*.x-flumen", true)
	own := root.keys["services"].any.keys["x-flumen"]
	for _, key := range []string{"heal", "on_config_change", "job", "rollback"} {
		own.add(key, true)
	}
	root.add("configs.*.x-flumen", true)
	root.keys["configs"].any.keys["x-flumen"].add("interpolate", true)
	root.add("secrets.*.x-flumen", true)
	root.keys["secrets"].any.keys["x-flumen"].add("command", true)
	return root
})

// support marks a group of paths, and what lies on the way to them.
func (s *shape) support(group string) {
	prefix, rest, many := strings.Cut(group, "{")
	s.mark(prefix)
	if !many {
		return
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(rest, "}"), ",") {
		s.mark(prefix + "." + name)
	}
}

func (s *shape) mark(path string) {
	for part := range strings.SplitSeq(path, ".") {
		s = s.child(part)
		s.supported = true
	}
}

// at is the shape below a path.
func (s *shape) at(path string) *shape {
	for part := range strings.SplitSeq(path, ".") {
		s = s.child(part)
	}
	return s
}

// supports tells whether everything on a path of the file is supported.
func (s *shape) supports(path []string) bool {
	for _, part := range path {
		next := s.any
		if one, known := s.keys[part]; known {
			next = one
		} else if _, err := strconv.Atoi(part); err == nil && s.items != nil {
			next = s.items
		}
		if next == nil {
			return true // below what the shape knows
		}
		if s = next; !s.supported {
			return false
		}
	}
	return true
}
