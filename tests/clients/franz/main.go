// franz-go against the brokers in $BOOTSTRAP: a topic is made, what is sent with each codec comes back in order, by itself
// and through a group, whose offsets are shown. Ends with status 1 when anything is otherwise.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// client makes one that is closed when the program ends.
func client(options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append(options, kgo.SeedBrokers(strings.Split(os.Getenv("BOOTSTRAP"), ",")...))...)
	must(err)
	return made
}

// read gives the first values that a consumer has.
func read(ctx context.Context, consumer *kgo.Client, count int) []string {
	var values []string
	for len(values) < count {
		fetches := consumer.PollFetches(ctx)
		must(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) { values = append(values, string(record.Value)) })
	}
	return values
}

func same(got, want []string) {
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		must(fmt.Errorf("%d records came, %d were sent, or not in their order", len(got), len(want)))
	}
}

func main() {
	ctx, stop := context.WithTimeout(context.Background(), 60*time.Second)
	defer stop()
	plain := client()
	admin := kadm.NewClient(plain)
	_, err := admin.CreateTopic(ctx, 1, 3, nil, "made")
	must(err)

	var sent []string
	for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(),
		kgo.Lz4Compression(), kgo.ZstdCompression()} {
		producer := client(kgo.ProducerBatchCompression(codec), kgo.DefaultProduceTopic("made"))
		for i := 0; i < 100; i++ {
			value := fmt.Sprintf("%v-%d-%s", codec, i, strings.Repeat("x", 50))
			sent = append(sent, value)
			producer.Produce(ctx, kgo.StringRecord(value), func(_ *kgo.Record, err error) { must(err) })
		}
		must(producer.Flush(ctx))
		producer.Close()
	}

	reader := client(kgo.ConsumeTopics("made"))
	same(read(ctx, reader, len(sent)), sent)
	reader.Close()
	member := client(kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("made"), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	same(read(ctx, member, len(sent)), sent)
	must(member.CommitUncommittedOffsets(ctx))
	member.Close()
	offsets, err := admin.FetchOffsets(ctx, "readers")
	must(err)
	if at, found := offsets.Lookup("made", 0); !found || at.At != int64(len(sent)) {
		must(fmt.Errorf("the group is at %v", at))
	}
	_, err = admin.DeleteTopics(ctx, "made")
	must(err)
	plain.Close()
	fmt.Printf("%d records came back as they were sent, twice\n", len(sent))
}
