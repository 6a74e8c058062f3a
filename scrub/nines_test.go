package scrub

import (
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
)

const (
	testDay  = 24 * time.Hour
	testYear = time.Duration(yearHours * float64(time.Hour))
)

func coding(tb testing.TB, s string) cairn.Coding {
	tb.Helper()
	c, err := cairn.ParseCoding(s)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// TestNinesReproduceTheReferenceTable holds the chain to the table that the
// design was made with: eager repair, MTTF in years, repair in 1, 3 and 7 days.
func TestNinesReproduceTheReferenceTable(t *testing.T) {
	for _, row := range []struct {
		coding string
		want   [4][3]float64 // by MTTF of 1, 2, 5 and 10 years
	}{
		{"3+2", [4][3]float64{{3.4, 2.4, 1.8}, {4.3, 3.3, 2.6}, {5.4, 4.5, 3.8}, {6.3, 5.4, 4.7}}},
		{"4+2", [4][3]float64{{3.1, 2.1, 1.5}, {4.0, 3.0, 2.3}, {5.1, 4.2, 3.5}, {6.0, 5.1, 4.4}}},
		{"3+3", [4][3]float64{{5.2, 3.8, 2.7}, {6.3, 4.9, 3.9}, {7.9, 6.5, 5.4}, {9.1, 7.7, 6.6}}},
		{"4+3", [4][3]float64{{4.8, 3.4, 2.4}, {6.0, 4.6, 3.5}, {7.6, 6.1, 5.1}, {8.8, 7.3, 6.2}}},
		{"4+4", [4][3]float64{{6.5, 4.6, 3.3}, {7.9, 6.1, 4.7}, {9.9, 8.0, 6.6}, {11.4, 9.5, 8.1}}},
		{"6+4", [4][3]float64{{5.8, 4.0, 2.7}, {7.3, 5.4, 4.1}, {9.3, 7.4, 5.9}, {10.8, 8.9, 7.4}}},
		{"5+5", [4][3]float64{{7.7, 5.4, 3.8}, {9.5, 7.1, 5.4}, {11.8, 9.5, 7.7}, {13.6, 11.3, 9.4}}},
		{"10+4", [4][3]float64{{4.9, 3.2, 1.9}, {6.4, 4.6, 3.2}, {8.4, 6.5, 5.1}, {9.9, 8.0, 6.5}}},
	} {
		for i, years := range []time.Duration{1, 2, 5, 10} {
			for j, days := range []time.Duration{1, 3, 7} {
				got := Nines(coding(t, row.coding), years*testYear, days*testDay, 1).Nines
				if math.Abs(got-row.want[i][j]) > 0.0501 {
					t.Errorf("%s, MTTF %d y, repair %d d: %.3f nines, the table says %.1f", row.coding, years, days, got, row.want[i][j])
				}
			}
		}
	}
}

func TestNinesOfALaterRepair(t *testing.T) {
	for _, row := range []struct {
		coding string
		want   [3]float64 // repair at the first, second and third loss
	}{
		{"4+3", [3]float64{4.6, 3.3, 1.8}},
		{"4+4", [3]float64{6.1, 4.8, 3.4}},
		{"6+4", [3]float64{5.4, 4.3, 3.0}},
		{"6+6", [3]float64{8.1, 7.1, 5.9}},
	} {
		for i, want := range row.want {
			if got := Nines(coding(t, row.coding), 2*testYear, 3*testDay, i+1).Nines; math.Abs(got-want) > 0.0501 {
				t.Errorf("%s, repair at loss %d: %.3f nines, the table says %.1f", row.coding, i+1, got, want)
			}
		}
	}
}

// TestNinesAreExact compares the float64 with rational arithmetic over the
// balance equations of the chain, solved by elimination.
func TestNinesAreExact(t *testing.T) {
	for _, c := range []string{"1+0", "1+1", "2+1", "4+3", "4+4", "5+5", "10+4", "6+12"} {
		for at := 1; at <= 3; at++ {
			c := coding(t, c)
			got := Nines(c, 2*8766*time.Hour, 72*time.Hour, at).Years * yearHours
			want, _ := meanByElimination(c, 2*8766, 72, at).Float64()
			if math.Abs(got/want-1) > 1e-12 {
				t.Errorf("%v, repair at %d: %.17g hours, exactly %.17g", c, at, got, want)
			}
		}
	}
}

// meanByElimination is the mean time to absorption from state 0: t(i) =
// (1 + d(i) t(i+1) + r(i) t(0)) / (d(i)+r(i)), t(m+1) = 0.
func meanByElimination(c cairn.Coding, mttf, repair int64, at int) *big.Rat {
	// From the top down, t(i) = a(i) + b(i) t(0).
	a, b := new(big.Rat), new(big.Rat)
	for i := c.M; i >= 0; i-- {
		d, r := big.NewRat(int64(c.N()-i), mttf), new(big.Rat)
		if i >= at {
			r = big.NewRat(1, repair)
		}
		sum := new(big.Rat).Add(d, r)
		na := new(big.Rat).Add(big.NewRat(1, 1), new(big.Rat).Mul(d, a))
		nb := new(big.Rat).Add(new(big.Rat).Mul(d, b), r)
		a, b = na.Quo(na, sum), nb.Quo(nb, sum)
	}
	return a.Quo(a, new(big.Rat).Sub(big.NewRat(1, 1), b))
}

func TestNinesRefuse(t *testing.T) {
	for _, d := range []Durability{
		Nines(cairn.Coding{K: 0, M: 1}, testYear, testDay, 1),
		Nines(cairn.Coding{K: 1, M: 1}, 0, testDay, 1),
		Nines(cairn.Coding{K: 1, M: 1}, testYear, 0, 1),
		Nines(cairn.Coding{K: 1, M: 1}, testYear, testDay, 0),
	} {
		if !math.IsNaN(d.Nines) {
			t.Errorf("%+v", d)
		}
	}
}
