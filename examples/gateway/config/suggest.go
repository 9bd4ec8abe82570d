package config

import "strings"

// unknown returns what to say of the key or section name, of which there is
// none. known are the names there are.
func unknown(name string, known []string) string {
	if near := nearest(name, known); near != "" {
		return "is unknown; did you mean " + near + "?"
	}
	return "is unknown; remove it, or see -h for the names there are"
}

// nearest returns the known name that name was probably meant to be, or "".
func nearest(name string, known []string) string {
	if len(name) > 100 {
		return ""
	}
	best, least := "", 3 // more than two slips are another word
	for _, k := range known {
		d := distance(strings.ToLower(name), strings.ToLower(k))
		if d < least && d < len(k)/2 {
			best, least = k, d
		}
	}
	if best != "" {
		return best
	}
	// A key in the wrong section.
	for _, k := range known {
		if strings.EqualFold(last(name), last(k)) {
			return k
		}
	}
	return ""
}

func last(name string) string { return name[strings.LastIndexAny(name, "._")+1:] }

// distance returns how many letters must be changed, added or left out to turn
// a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
