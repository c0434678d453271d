package docker

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"github.com/docker/go-connections/nat"
	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// planOf is a plan of these changes.
func planOf(changes ...plan.Change) plan.Plan {
	stage := plan.Stage{Tier: "base"}
	for i, c := range changes {
		stage.Steps = append(stage.Steps, plan.Step{ID: i + 1, Change: c})
	}
	return plan.Plan{Stages: []plan.Stage{stage}}
}

// mustHold wants one obstacle, of this rule, whose reason says all of this.
func (w world) mustHold(rule string, c plan.Change, says ...string) {
	w.Helper()
	all := w.target.Check(w.Context(), planOf(c))
	if len(all) != 1 || all[0].Rule != rule || all[0].Ref != c.Ref() {
		w.Fatalf("obstacles: %v", all)
	}
	w.Log(all[0].Reason)
	for _, want := range says {
		if !strings.Contains(all[0].Reason, want) {
			w.Errorf("%q does not say %q", all[0].Reason, want)
		}
	}
}

func (w world) mustPass(changes ...plan.Change) {
	w.Helper()
	if all := w.target.Check(w.Context(), planOf(changes...)); len(all) > 0 {
		w.Errorf("obstacles: %v", all)
	}
}

// publish starts a container of somebody else that has a host port, and gives its ID and
// the port.
func (w world) publish(name string) (id, port string) {
	w.Helper()
	made, err := w.engine.ContainerCreate(w.Context(), &container.Config{
		Image: enginetest.Sleeper, ExposedPorts: nat.PortSet{"80/tcp": {}}, Labels: map[string]string{composeProject: w.project},
	}, &container.HostConfig{PortBindings: nat.PortMap{"80/tcp": {{HostIP: "127.0.0.1"}}}}, nil, nil, name)
	if err != nil {
		w.Fatal(err)
	}
	if err := w.engine.ContainerStart(w.Context(), made.ID, container.StartOptions{}); err != nil {
		w.Fatal(err)
	}
	return made.ID, w.inspect(made.ID).NetworkSettings.Ports["80/tcp"][0].HostPort
}

func onHostPort(address, published string) func(*spec.Service) {
	return func(s *spec.Service) {
		s.Ports = []spec.Port{{Target: 80, Protocol: "tcp", HostIP: address, Published: published}}
	}
}

func TestAHostPortOfAnotherContainerIsAnObstacle(t *testing.T) {
	eachWorld(t, func(w world) {
		name := w.project + "-other"
		id, port := w.publish(name)
		want := w.service("web", onHostPort("", port))
		w.mustHold("port", plan.Create{Want: want}, "container "+name, port+"/tcp", "publish another port")
		w.mustPass(plan.Create{Want: w.service("web", onHostPort("127.0.0.2", port))})

		old := drift.Found{Ref: spec.InstanceRef("old", 1), ID: id, Owned: true}
		w.mustPass(plan.Replace{Want: want, Have: old})
		w.mustPass(plan.Create{Want: want}, plan.Remove{Have: old})
		w.mustPass(plan.Start{Want: want, Have: old}) // which may be paused
	})
}

func TestOfARangeOneFreeHostPortIsEnough(t *testing.T) {
	eachWorld(t, func(w world) {
		_, port := w.publish("")
		n, err := strconv.Atoi(port)
		if err != nil {
			w.Fatal(err)
		}
		w.mustHold("port", plan.Create{Want: w.service("web", onHostPort("127.0.0.1", port+"-"+port))}, port)
		w.mustPass(plan.Create{Want: w.service("web", onHostPort("127.0.0.1", port+"-"+strconv.Itoa(n+100)))})
	})
}

func TestAHostPortOfAnotherProcessIsAnObstacle(t *testing.T) {
	eachWorld(t, func(w world) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			w.Fatal(err)
		}
		defer listener.Close()
		_, port, err := net.SplitHostPort(listener.Addr().String())
		if err != nil {
			w.Fatal(err)
		}
		create := plan.Create{Want: w.service("web", onHostPort("", port))}
		s, err := w.target.survey(w.Context(), plan.Plan{})
		if err != nil {
			w.Fatal(err)
		}
		if !s.here {
			w.mustPass(create) // the engine's ports are its own
			return
		}
		w.mustHold("port", create, port+"/tcp", "docker.test (process "+strconv.Itoa(os.Getpid())+")")
	})
}

func TestStartIntervalNeedsANewEnough(t *testing.T) {
	eachWorld(t, func(w world) {
		create := plan.Create{Want: w.service("web", func(s *spec.Service) { s.Health = &spec.Health{StartInterval: time.Second} })}
		if versions.LessThan(w.engine.ClientVersion(), startIntervalVersion) {
			w.mustHold("engine", create, "start_interval", "API 1.44", w.engine.ClientVersion())
			return
		}
		w.mustPass(create)
	})
}

func TestWhatTheEngineCannotDoIsAnObstacle(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustHold("engine", plan.Create{Want: w.service("web", func(s *spec.Service) { s.NanoCPUs = 1e6 * 1e9 })}, "cpus is 1e+06")
		w.mustHold("engine", plan.Create{Want: w.service("web", func(s *spec.Service) { s.Logging.Driver = "paper" })}, `no log driver "paper"`, "json-file")
	})
}

func TestABindMountOnARemoteEngineIsRefusedByName(t *testing.T) {
	eachWorld(t, func(w world) {
		bind := func(s *spec.Service) {
			s.Mounts = []spec.Mount{{Type: spec.MountBind, Target: "/conf", Source: "/srv/conf"}}
		}
		create := plan.Create{Want: w.service("web", bind)}
		w.mustPass(create)
		w.target = New(w.overNetwork())
		w.mustHold("bind", create, "/srv/conf", "make it a config, or a volume")
	})
}

// overNetwork gives a client that reaches the same engine by TCP.
func (w world) overNetwork() *client.Client {
	w.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { listener.Close() })
	remote, err := client.NewClientWithOpts(client.WithHost("tcp://"+listener.Addr().String()), client.WithAPIVersionNegotiation(),
		client.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) { return w.engine.Dialer()(ctx) }))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { remote.Close() })
	return remote
}

// onDisk is an engine that keeps its images somewhere else.
type onDisk struct {
	client.APIClient
	dir string
}

func (e onDisk) Info(ctx context.Context) (system.Info, error) {
	info, err := e.APIClient.Info(ctx)
	info.DockerRootDir = e.dir
	info.Name, _ = os.Hostname() // for the checks that are made of an engine here only
	return info, err
}

func TestAFullDiskHoldsAllImages(t *testing.T) {
	eachWorld(t, func(w world) {
		small := enginetest.SmallDisk(w, "100m")
		w.target = New(onDisk{w.engine, small})
		p := planOf(plan.Create{Want: &spec.Image{Name: "app:1"}}, plan.Create{Want: w.service("one")}, plan.Create{Want: &spec.Image{Name: "app:2"}})
		var held []spec.Ref
		for _, o := range w.target.Check(w.Context(), p) {
			held = append(held, o.Ref)
			want := "100MiB is free on the disk of " + small + ", where the engine keeps its images, and the new images need about 1GiB: make room, for instance with docker image prune"
			if o.Rule != ruleDisk || o.Reason != want {
				w.Errorf("obstacle %v", o)
			}
		}
		if diff := cmp.Diff([]spec.Ref{{Kind: spec.KindImage, Name: "app:1"}, {Kind: spec.KindImage, Name: "app:2"}}, held); diff != "" {
			w.Error(diff)
		}
	})
}

// sized is an engine whose images are all as large.
type sized struct {
	onDisk
	bytes int64
}

func (e sized) ImageInspect(context.Context, string, ...client.ImageInspectOption) (image.InspectResponse, error) {
	return image.InspectResponse{Size: e.bytes}, nil
}

func TestNewImagesNeedAsMuchAsAllBeforeThem(t *testing.T) {
	eachWorld(t, func(w world) {
		dir := w.TempDir()
		free, err := freeBytes(dir)
		if err != nil {
			w.Fatal(err)
		}
		w.target = New(sized{onDisk{w.engine, dir}, free * 3 / 5})
		first := plan.Update{Want: &spec.Image{Name: "app:1"}, Have: drift.Found{ID: "sha256:1"}}
		second := plan.Update{Want: &spec.Image{Name: "app:2"}, Have: drift.Found{ID: "sha256:2"}}
		w.mustPass(first)
		if all := w.target.Check(w.Context(), planOf(first, second)); len(all) != 2 {
			w.Errorf("obstacles: %v", all)
		}
	})
}

func TestADiskWithRoomIsNoObstacle(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustPass(plan.Create{Want: &spec.Image{Name: "app:1"}})
	})
}

// postgres is an image of this major version, in name.
func (w world) postgres(major string) string {
	return enginetest.Image(w.T, w.engine, "ENV PG_MAJOR="+major+" PGDATA=/var/lib/postgresql/data")
}

// data makes a volume as PostgreSQL of this major version leaves it, and gives a service
// that has it.
func (w world) data(version string) *spec.Service {
	w.Helper()
	name := w.project + "_data"
	if _, err := w.engine.VolumeCreate(w.Context(), volume.CreateOptions{Name: name, Labels: map[string]string{composeProject: w.project}}); err != nil {
		w.Fatal(err)
	}
	made, err := w.engine.ContainerCreate(w.Context(), &container.Config{Image: enginetest.Sleeper},
		&container.HostConfig{Binds: []string{name + ":/d"}}, nil, nil, "")
	if err != nil {
		w.Fatal(err)
	}
	if err := w.engine.CopyToContainer(w.Context(), made.ID, "/d", oneFile(w.T, versionFile, version+"\n"), container.CopyToContainerOptions{}); err != nil {
		w.Fatal(err)
	}
	if err := w.engine.ContainerRemove(w.Context(), made.ID, container.RemoveOptions{}); err != nil {
		w.Fatal(err)
	}
	return w.service("db", func(s *spec.Service) {
		s.Image = w.postgres("17")
		s.Mounts = []spec.Mount{{Type: spec.MountVolume, Target: "/var/lib/postgresql/data", Volume: "data", Source: name}}
	})
}

func TestAVolumeOfAnotherPostgresMajorIsAnObstacle(t *testing.T) {
	eachWorld(t, func(w world) {
		want := w.data("16")
		w.mustHold("major-version", plan.Create{Want: want}, "PostgreSQL 16", "PostgreSQL 17", "pg_dumpall", "pg_upgrade")

		old := *want
		old.Image = w.postgres("16")
		w.mustPass(plan.Create{Want: &old})
		made, err := w.engine.ContainerCreate(w.Context(), &container.Config{Image: old.Image, Labels: map[string]string{composeProject: w.project}},
			&container.HostConfig{Binds: []string{want.Mounts[0].Source + ":/elsewhere"}}, nil, nil, "")
		if err != nil {
			w.Fatal(err)
		}
		have := drift.Found{Ref: old.Ref(), ID: made.ID, Owned: true}
		w.mustHold("major-version", plan.Replace{Want: want, Have: have}, "PostgreSQL 16", "PostgreSQL 17")
	})
}

func TestReadingAVolumeLeavesNothingBehind(t *testing.T) {
	eachWorld(t, func(w world) {
		want := w.data("17")
		w.mustPass(plan.Create{Want: want})
		all, err := w.engine.ContainerList(w.Context(), container.ListOptions{All: true})
		if err != nil {
			w.Fatal(err)
		}
		if slices.ContainsFunc(all, func(c container.Summary) bool { return strings.Contains(nameOf(c), w.project) }) {
			w.Errorf("containers: %v", all)
		}
	})
}

func TestANewVolumeIsNoObstacleAndIsNotMade(t *testing.T) {
	eachWorld(t, func(w world) {
		want := w.service("db", func(s *spec.Service) {
			s.Image = w.postgres("17")
			s.Mounts = []spec.Mount{{Type: spec.MountVolume, Target: "/var/lib/postgresql/data", Volume: "data", Source: w.project + "_data"}}
		})
		w.mustPass(plan.Create{Want: want})
		if _, err := w.engine.VolumeInspect(w.Context(), w.project+"_data"); err == nil {
			w.Error("the check made the volume")
		}
	})
}

func TestADirectoryOfAnotherPostgresMajorIsAnObstacle(t *testing.T) {
	eachWorld(t, func(w world) {
		dir := w.TempDir()
		if err := os.WriteFile(filepath.Join(dir, versionFile), []byte("9.6\n"), 0o600); err != nil {
			w.Fatal(err)
		}
		create := plan.Create{Want: w.service("db", func(s *spec.Service) {
			s.Image = w.postgres("17")
			s.Mounts = []spec.Mount{{Type: spec.MountBind, Target: "/var/lib/postgresql/data", Source: dir}}
		})}
		if s, err := w.target.survey(w.Context(), plan.Plan{}); err != nil || !s.here {
			w.mustPass(create) // the engine's files are its own
			return
		}
		w.mustHold("major-version", create, "PostgreSQL 9.6", "PostgreSQL 17")
	})
}

func TestTheMajorOfAnImageIsReadFromItsProgramsIfNothingElseSays(t *testing.T) {
	eachWorld(t, func(w world) {
		want := w.data("16")
		b := newBuilds(w.T, w.engine)
		b.write("Dockerfile", "FROM scratch\nCOPY file /usr/lib/postgresql/17/bin/postgres\nENV PGDATA=/var/lib/postgresql/data\n")
		b.write("file", "")
		one := b.image("sha256:one")
		b.mustBuild(one)
		want.Image = one.Name
		w.mustHold("major-version", plan.Create{Want: want}, "PostgreSQL 16", "PostgreSQL 17")
	})
}
