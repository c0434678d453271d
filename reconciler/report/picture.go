package report

import (
	"fmt"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// The measures of the picture, in its own units. It is as wide as a phone, so that its
// words can be read there.
const (
	pictureWidth = 360
	boxWidth     = 162
	boxHeight    = 44
	boxGap       = 8
	bandEdge     = 14 // from the edge of a tier's band to its boxes
	bandTitle    = 32 // of a band, above its boxes
	bandGap      = 30 // between two bands: the arrow's place
	nameRunes    = 17 // of a name that fit into a box

	// mostBoxes of a tier are drawn. Of more, those that are as they should be are counted.
	mostBoxes = 24
)

// The ways in which a thing may stand. They are classes of the page's style too.
const (
	standsFine    = "fine"    // as it should be
	standsDiffers = "differs" // works, and is not as it should be
	standsBad     = "bad"     // does not do its work
	standsUnknown = "unknown" // could not be looked at, or not yet
)

// picture is the tiers of a check, drawn one below the other.
type picture struct {
	Width, Height int
	Bands         []band
	Says          string // the picture in words, for those who cannot see it
}

// band is one tier. Gate is what stands above it: when it opens.
type band struct {
	Name         string
	Stands, Word string
	Gate         string // "" above the lowest tier
	Y, Height    int
	Boxes        []box
}

// box is one thing. Its place is within the band.
type box struct {
	Name, Whole  string // Name fits the box
	Word, Stands string
	X, Y         int
}

// GateY is where the arrow to the band begins.
func (b band) GateY() int { return b.Y - bandGap + 1 }

// Width is that of the band's line, which lies half a unit inside.
func (b band) Width() int { return pictureWidth - 1 }

// Width and Height are those of the box, Inner that of its line.
func (b box) Width() int  { return boxWidth }
func (b box) Height() int { return boxHeight }
func (b box) Inner() int  { return boxWidth - 1 }

// Mark is a sign for how the thing stands, as the path of a pen: colour alone is not seen
// by all, nor by a printer.
func (b box) Mark() string { return marks[b.Stands] }

var marks = map[string]string{
	standsFine:    "M12 22l4 4 8-9",                                // a tick
	standsDiffers: "M12 25c2-6 4-6 6-3s4 3 6-3",                    // a wave
	standsBad:     "M13 17l10 10m0-10l-10 10",                      // a cross
	standsUnknown: "M14 18a4 4 0 1 1 5.5 3.5q-1.5 1-1.5 3m0 4v.01", // a question mark
}

// draw lays out the tiers. Things that a person does not think of (images, networks,
// volumes) have a box only if they differ.
func draw(tiers []TierStatus) picture {
	p := picture{Width: pictureWidth}
	for i, t := range tiers {
		b := band{Name: t.Name, Y: p.Height, Boxes: boxes(t)}
		b.Stands, b.Word = standsFine, "ready"
		if !t.Ready {
			b.Stands, b.Word = standsBad, "not ready"
		}
		if i > 0 {
			b.Gate = "opens when " + tiers[i-1].Name + " is ready"
			b.Y += bandGap
		}
		rows := (len(b.Boxes) + 1) / 2
		b.Height = bandTitle + rows*(boxHeight+boxGap) + bandEdge - boxGap
		p.Height = b.Y + b.Height
		p.Bands = append(p.Bands, b)
		p.Says += fmt.Sprintf("Tier %s is %s. ", t.Name, b.Word)
	}
	p.Height++ // half of the last line lies outside
	return p
}

func boxes(t TierStatus) []box {
	var all, fine []box
	for _, r := range t.Resources {
		one := box{Name: shorten(r.Ref.Name, nameRunes), Whole: r.Ref.String(), Word: r.word(), Stands: r.stands()}
		switch {
		case one.Stands == standsFine && r.Ref.Kind != spec.KindService && r.Ref.Kind != spec.KindBucket:
		case one.Stands == standsFine:
			fine = append(fine, one)
			all = append(all, one)
		default:
			all = append(all, one)
		}
	}
	if len(all) > mostBoxes && len(fine) > 1 {
		all = append(unlike(all, standsFine), box{Name: fmt.Sprintf("%d more", len(fine)), Whole: "all others", Word: "as they should be", Stands: standsFine})
	}
	for i := range all {
		all[i].X, all[i].Y = bandEdge+i%2*(boxWidth+boxGap), bandTitle+i/2*(boxHeight+boxGap)
	}
	return all
}

func unlike(all []box, stands string) []box {
	var others []box
	for _, b := range all {
		if b.Stands != stands {
			others = append(others, b)
		}
	}
	return others
}

// stands says how a thing stands, for who looks at the whole.
func (r ResourceStatus) stands() string {
	switch {
	case r.Verdict == drift.Unseen || r.Verdict == drift.Pending || r.State == "unknown":
		return standsUnknown
	case r.Unwell():
		return standsBad
	case r.Verdict != "":
		return standsDiffers
	}
	return standsFine
}

// word is the state of a thing for its box, with its kind if it is no service.
func (r ResourceStatus) word() string {
	word := string(r.State)
	if r.Verdict != "" && r.stands() == standsDiffers {
		word = string(r.Verdict)
	}
	if r.Verdict == drift.Foreign {
		word = "not ours"
	}
	if r.ExitCode != nil && *r.ExitCode != 0 {
		word += fmt.Sprintf(", code %d", *r.ExitCode)
	}
	if r.Ref.Kind != spec.KindService {
		word = string(r.Ref.Kind) + ", " + word
	}
	return word
}

// shorten cuts a text to a number of runes.
func shorten(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
