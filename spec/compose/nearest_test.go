package compose

import "testing"

func TestNearestFindsTheWordThatWasMeant(t *testing.T) {
	t.Parallel()
	known := []string{"volumes", "networks", "image", "command", "cpus", "x"}
	for word, want := range map[string]string{
		"volumnes": "volumes", "imgae": "image", "comand": "command", "cpu": "cpus", "Image": "image",
		"qwertz": "", "": "", "networkss": "networks",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("%s: got %q, want %q", word, got, want)
		}
	}
}

func TestDistanceCountsLetters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"abc", "abc", 0}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%s, %s: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
