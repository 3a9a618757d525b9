//! Prints the experiment file's JSON schema, the content of `experiments/schema.json`.

fn main() {
    print!("{}", slipway_experiment::schema());
}
